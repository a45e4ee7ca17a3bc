"""The one exception for what a user can put right, and the hint that goes with a misspelt name."""

from collections.abc import Iterable
from difflib import get_close_matches

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
