"""How progress is told: on standard error, for standard output is for results."""

import sys


def step(message: str) -> None:
    """One line of progress."""
    print(f"  {message} …", file=sys.stderr, flush=True)
