"""How commands talk: progress on standard error, results on standard output."""

import sys


def step(message: str) -> None:
    """One line of progress."""
    print(f"  {message} …", file=sys.stderr, flush=True)
