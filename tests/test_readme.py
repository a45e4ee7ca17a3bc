"""The README's commands are commands: verbs exist, flags parse, and they run one after the other, on small data."""

import functools
import re
import shlex
from glob import glob
from importlib import import_module
from pathlib import Path

import pytest

from recsys.__main__ import VERBS, main

ROOT = Path(__file__).parents[1]
LIGHTNING = ("fit", "validate", "test", "predict")


def commands() -> list[list[str]]:
    """Every `recsys` and `make` line of the shell fences, in words, without comments and pipes."""
    text = (ROOT / "README.md").read_text("utf-8")
    fences = re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(fences).replace("\\\n", " ").splitlines()
    found = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
    return [_first(words) for words in found if words and words[0] in ("recsys", "make")]


def _first(words: list[str]) -> list[str]:
    """The words before a pipe, a redirection or another command."""
    end = next((i for i, word in enumerate(words) if word in ("|", "&&", ";", ">", "||")), len(words))
    return words[:end]


COMMANDS = commands()


def test_there_are_commands() -> None:
    assert {words[0] for words in COMMANDS} == {"recsys", "make"}


@pytest.mark.parametrize("words", [w for w in COMMANDS if w[0] == "make"], ids=" ".join)
def test_a_target_of_make_exists(words: list[str]) -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {word for word in words[1:] if "=" not in word} <= set(targets)


@pytest.mark.parametrize("words", [w for w in COMMANDS if w[0] == "recsys"], ids=" ".join)
def test_a_command_parses(words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    verb, args = [*words, ""][1], words[2:]
    if verb.startswith("-"):
        assert main([verb]) == 0
        return
    assert verb in VERBS
    if verb in LIGHTNING:
        with pytest.raises(SystemExit) as stopped:
            main([verb, *args, "--print_config"])
        assert stopped.value.code == 0
    elif "--help" not in args and verb != "doctor":
        module = import_module(f"recsys.commands.{verb}")
        received: list[dict] = []

        @functools.wraps(getattr(module, verb))
        def take(**given: object) -> None:
            received.append(given)

        monkeypatch.setattr(module, verb, take)
        assert main([verb, *args]) == 0
        assert len(received) == 1


SMALLER = {
    "fit": ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "3", "--model.network.init_args.dim", "8"],
    "test": ["--model.network.init_args.dim", "8"],
}
ELSEWHERE = ("demo", "serve", "doctor")  # tested in rooms of their own: they take minutes, or never end


def test_the_commands_run_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    ran = set()
    for _, verb, *args in (words for words in COMMANDS if words[0] == "recsys" and len(words) > 1):
        source = args[args.index("--source") + 1] if "--source" in args else "."
        if verb in VERBS and verb not in ELSEWHERE and Path(source).is_dir():
            found = [path for word in args for path in (sorted(glob(word)) if "*" in word else [word])]
            assert main([verb, *found, *SMALLER.get(verb, [])]) == 0, (verb, capsys.readouterr().err)
            ran.add(verb)
    assert {"synthesize", "convert", "fit", "test", "compare", "report", "recommend"} <= ran
    assert (tmp_path / "report.html").is_file()


def test_the_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for fence in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(fence, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 10
