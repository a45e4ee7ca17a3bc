"""The dispatcher: every verb is listed, exists and explains itself; what is no verb is named."""

from importlib import import_module

import pytest

import recsys
from recsys.__main__ import VERBS, main


@pytest.mark.parametrize("asked", [[], ["--help"], ["-h"]])
def test_the_overview_lists_every_verb(capsys: pytest.CaptureFixture[str], asked: list[str]) -> None:
    assert main(asked) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("usage: recsys VERB")
    assert [line.split()[0] for line in shown if line.startswith("  ")] == list(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert callable(import_module(f"recsys.commands.{verb.replace('-', '_')}").main)
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize("asked", ["-V", "--version"])
def test_the_version(capsys: pytest.CaptureFixture[str], asked: str) -> None:
    assert main([asked]) == 0
    assert capsys.readouterr().out.strip() == recsys.__version__


def test_an_unknown_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recomend"]) == 2
    assert capsys.readouterr().err == "recsys: error: no verb 'recomend'. Did you mean 'recommend'?\n"
    assert main(["xyzzy"]) == 2
    complaint = capsys.readouterr().err
    assert all(verb in complaint for verb in VERBS), "all that are known"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["recommend"], "checkpoint"),
        (["recommend", "--checkpoint", "x", "--hist", "1"], "--hist"),
        (["recommend", "--checkpoint", "x", "--histroy", "1"], "Did you mean 'history'?"),
        (["recommend", "--checkpoint", "x", "--k", "ten"], "'ten' is no int"),
        (["convert", "qillin"], "must be one of 'qilin'"),
        (["models", "--runs", "nowhere"], "nowhere: no such folder"),
        (["synthesize", "--output", "x", "--users", "99"], "needs at least 100 users"),
        (["synthesize", "--output", "x", "--influence", "1.5"], "between 0 and 1"),
        (["compare", "nowhere"], "nowhere: no such folder"),
        (["fit", "--config", "no_such_config"], "no_such_config"),
    ],
)
def test_bad_input_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch: pytest.MonkeyPatch, args: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(args) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("recsys: error: ")
    assert complaint.count("\n") == 1
    assert sentence in complaint
    assert not list(tmp_path.iterdir()), "nothing was written"
