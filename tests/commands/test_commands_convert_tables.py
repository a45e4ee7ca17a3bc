"""`recsys convert-tables`, as docs/data.md shows it."""

import re
import shlex
from pathlib import Path

import pytest

from recsys.__main__ import main
from recsys.data import load

CPU = ["--trainer.accelerator", "cpu"]
PAGE = Path(__file__).parents[2] / "docs" / "data.md"


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The page's tables lie in the folder that the test runs in; its two commands."""
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text("utf-8").partition("### Your own clicks and searches")[2].partition("\n### ")[0]
    tables = re.findall(r"^`(\w+\.csv)`.*?^```csv\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in tables] == ["clicks.csv", "searches.csv", "items.csv"]
    for name, content in tables:
        Path(name).write_text(content, encoding="utf-8")
    (fence,) = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for line in fence.splitlines()]


def test_the_page_s_shop_is_converted_and_trained_on(told, capsys: pytest.CaptureFixture[str]) -> None:
    convert, fit = told
    assert main(convert) == 0
    said = capsys.readouterr()
    assert said.out.endswith("Wrote data/shop\n")
    assert "reading searches" in said.err
    data = load(Path("data/shop"), ("train", "valid", "test"))
    assert (data.users, len(data.items) - 1, len(data.searches.user)) == (["ann", "bob"], 3, 2)
    smaller = ["--trainer.max_epochs", "1", "--model.network.init_args.dim", "8", *CPU]
    assert main([*fit, *smaller]) == 0
    (checkpoint,) = Path("runs/shop").glob("*/checkpoint")
    capsys.readouterr()
    assert main(["recommend", "--checkpoint", str(checkpoint), "--history", "0017", "--k", "1"]) == 0
    assert "0200" in capsys.readouterr().out


def test_searches_are_trained_on(told) -> None:
    convert, _ = told
    assert main(convert) == 0
    tiny = [
        "--data.path",
        "data/shop",
        "--data.min_count",
        "1",
        "--trainer.max_epochs",
        "1",
        "--trainer.accelerator",
        "cpu",
    ]
    network = ["--model.network.init_args.dim", "8", "--model.warm_start", "null", "--model.freeze_backbone", "false"]
    for verb in ("fit", "test"):
        assert (
            main(
                [
                    verb,
                    "--config",
                    "searchsasrec_qilin",
                    "--name",
                    "search",
                    "--trainer.accelerator",
                    "cpu",
                    *tiny,
                    *network,
                ]
            )
            == 0
        )


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--user_id", "custmer", "clicks.csv: no column 'custmer'. Did you mean 'customer'?"),
        ("--clicks", "click.csv", "click.csv: no such file or folder."),
        ("--split", "temporl", "split 'temporl': must be one of 'leave_one_out', 'temporal'."),
        ("--brand", "brand", "unrecognized arguments: --brand brand."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(told, capsys, flag: str, value: str, said: str) -> None:
    convert, _ = told
    assert main([*convert, flag, value]) == 2
    assert said in capsys.readouterr().err
    assert not Path("data").exists()
