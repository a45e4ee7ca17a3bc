"""From a function with type hints and a docstring to a command."""

from collections.abc import Callable
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
) -> None:
    """Parse `args` for `function` and call it.

    Args:
        function: The command; its name is the verb, its docstring the help.
        args: The command line behind the verb.
        positional: Whether required arguments are given by place instead of by name.
        lists: Arguments that take several words, with their help; "runs" by place, "--query" by name.
    """
    verb = function.__name__.replace("_", "-")
    parser = Parser(prog=f"recsys {verb}", description=(function.__doc__ or "").split("Args:")[0], allow_abbrev=False)
    names = [name.removeprefix("--") for name in lists or {}]
    parser.add_function_arguments(function, as_group=False, as_positional=positional, skip=set(names))
    for name, text in (lists or {}).items():
        parser.add_argument(name, nargs="+", type=str, help=text)
    parsed: Any = parser.instantiate_classes(parser.parse_args([_underscored(arg) for arg in args]))
    function(**parsed.as_dict())


def _underscored(arg: str) -> str:
    """`--on-error` is as good as `--on_error`."""
    name, equals, value = arg.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value if arg.startswith("--") else arg
