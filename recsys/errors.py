"""The one exception for what a user can put right, and the hint that goes with a misspelt name."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, get_args

LISTED = 40
"""Names that anybody reads in a sentence."""


class InputError(ValueError):
    """Bad input: one sentence naming the file, row, field or flag and what would be right (exit code 2)."""


class Unreachable(InputError):
    """A server that does not answer, or no network: what was fetched before may do instead."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known name, or the list of known names when none is near."""
    known = sorted(known)
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    more = f" and {len(known) - LISTED:,} more" if len(known) > LISTED else ""
    return f" Known: {', '.join(known[:LISTED])}{more}."


def require_choice(name: str, value: object, kind: Any) -> None:
    """Refuse a value that is none of a `Literal`'s.

    Raises:
        InputError: naming it, and the nearest of those.
    """
    if value not in get_args(kind):
        raise InputError(f"{name} is {value!r}.{did_you_mean(str(value), get_args(kind))}")


def require_fraction(name: str, value: float) -> None:
    """Refuse what is no share of a whole.

    Raises:
        InputError: naming it, and what would be one.
    """
    if not 0 < value < 1:
        raise InputError(f"{name} is {value}; it should lie between 0 and 1, e.g. 0.1.")
