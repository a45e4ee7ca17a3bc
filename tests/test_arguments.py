"""jsonargparse's complaints in one sentence: its real messages, made by a real parser."""

from typing import Literal

import pytest
from jsonargparse import ArgumentParser

from recsys.arguments import explain, keys


class Stopped(Exception):
    pass


class Parser(ArgumentParser):
    def error(self, message: str, ex: Exception | None = None):
        raise Stopped(explain(message, keys(self)))


class Shape:
    def __init__(self, dim: int = 1) -> None: ...


class Round(Shape):
    def __init__(self, dim: int = 1, radius: float = 1.0) -> None: ...


@pytest.fixture
def parser() -> Parser:
    made = Parser(allow_abbrev=False)
    made.add_argument("--config", action="config")
    made.add_argument("--count", type=int, default=1)
    made.add_argument("--rate", type=float, default=0.1)
    made.add_argument("--split", type=Literal["train", "valid"], default="train")
    made.add_argument("--limit", type=int | float | None, default=None)
    made.add_argument("--trainer.max_epochs", type=int, default=1)
    made.add_subclass_arguments(Shape, "shape", default=None, required=False)
    return made


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--count", "many"], "count: 'many' is no int."),
        (["--rate", "fast"], "rate: 'fast' is no float."),
        (["--split", "dev"], "split 'dev': must be one of 'train', 'valid'."),
        (["--limit", "all"], "limit: 'all' is none of int, float, null."),
        (
            ["--trainer.max_epoch", "2"],
            "unrecognized arguments: --trainer.max_epoch 2. Did you mean 'trainer.max_epochs'?",
        ),
        (["--zzz", "2"], "unrecognized arguments: --zzz 2."),
        (["--rat", "2"], "unrecognized arguments: --rat 2. Did you mean 'rate'?"),
        (["--shape", "Sphere"], "shape 'Sphere': no such class."),
    ],
)
def test_a_complaint_is_one_sentence(parser: Parser, args: list[str], sentence: str) -> None:
    with pytest.raises(Stopped) as stopped:
        parser.parse_args(args)
    assert str(stopped.value) == sentence


def test_an_unknown_key_of_a_file(parser: Parser, tmp_path) -> None:
    (tmp_path / "c.yaml").write_text("trainer: {max_epoch: 3}\n")
    with pytest.raises(Stopped) as stopped:
        parser.parse_args(["--config", str(tmp_path / "c.yaml")])
    assert "max_epoch" in str(stopped.value)
    assert str(stopped.value).endswith("Did you mean 'trainer.max_epochs'?")
    assert "\n" not in str(stopped.value)


def test_an_unknown_option_of_a_class(parser: Parser) -> None:
    with pytest.raises(Stopped) as stopped:
        parser.parse_args(["--shape", f"{__name__}.Round", "--shape.dims", "3"])
    assert "dims" in str(stopped.value)


def test_an_unknown_class_near_a_known_one() -> None:
    message = '"model": - Expected a path but SASReq - Expected a dot import path string: SASReq'
    assert explain(message, {"SASRec"}) == "model 'SASReq': no such class. Did you mean 'SASRec'?"


def test_what_is_not_understood_stays_in_one_line() -> None:
    assert explain("Something\n  else   went wrong", {"x"}) == "Something else went wrong"


def test_a_suggestion_of_the_parser_is_kept() -> None:
    assert explain("No option 'dims'. Did you mean 'dim'?", {"dime"}) == "No option 'dims'. Did you mean 'dim'?"


def test_keys_are_those_of_subcommands_too() -> None:
    parser, inner = ArgumentParser(), ArgumentParser()
    inner.add_argument("--data.path", type=str)
    parser.add_subcommands().add_subcommand("fit", inner)
    assert "data.path" in keys(parser)
