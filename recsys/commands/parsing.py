"""From a function with type hints and a docstring to a command."""

from collections.abc import Callable
from inspect import signature
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from recsys.arguments import explain, keys
from recsys.errors import InputError


class Parser(ArgumentParser):
    """Answers bad input with one sentence."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what `recsys` turns into exit code 2."""
        raise InputError(f"{explain(message, keys(self))} See: {self.prog} --help")


def call(
    function: Callable[..., None],
    args: list[str],
    positional: bool = False,
    lists: dict[str, str] | None = None,
    given: dict[str, Any] | None = None,
) -> None:
    """Parse `args` for `function` and call it.

    Args:
        function: The command; its name is the verb, its docstring the help.
        args: The command line behind the verb.
        positional: Whether required arguments are given by place instead of by name.
        lists: Arguments that take several words, with their help; "runs" by place, "--query" by name.
        given: Arguments that do not come from the command line.
    """
    verb = function.__name__.replace("_", "-")
    parser = Parser(prog=f"recsys {verb}", description=(function.__doc__ or "").split("Args:")[0], allow_abbrev=False)
    names = [name.removeprefix("--") for name in lists or {}]
    skipped: set[str | int] = {*names, *(given or {})}
    parser.add_function_arguments(function, as_group=False, as_positional=positional, skip=skipped)
    for name, text in (lists or {}).items():
        parser.add_argument(name, nargs="+", type=str, help=text)
    parsed: Any = parser.instantiate_classes(parser.parse_args(_spelt(args, function)))
    function(**parsed.as_dict(), **(given or {}))


def _spelt(args: list[str], function: Callable[..., None]) -> list[str]:
    """`--on-error` is as good as `--on_error`, and a flag that may be given without a value as good as with "true"."""
    flags = {f"--{name}" for name, value in signature(function).parameters.items() if value.default is False}
    spelt = []
    for arg, following in zip(args, [*args[1:], "--"], strict=False):
        name, equals, value = arg.partition("=")
        name = "--" + name[2:].replace("-", "_") if arg.startswith("--") else name
        alone = name in flags and not equals and following.startswith("-")
        spelt.append(f"{name}=true" if alone else name + equals + value)
    return spelt
