"""`recsys synthesize`."""

from pathlib import Path

from recsys.commands.output import step
from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.qilin import synthesize as write


def synthesize(output: str, users: int = 1000, seed: int = 0, influence: float = 0.6) -> None:
    """Write a small synthetic Qilin in the real parquet schema; what is measured on it says nothing about Qilin.

    Args:
        output: Folder to write, one subfolder per configuration.
        users: Number of users.
        seed: Seed; the same seed gives the same data on every machine.
        influence: Probability that a click soon after a search is on the searched topic; 0 for none.
    """
    if users < 100:
        raise InputError(f"--users {users}: needs at least 100 users, so that no split is empty.")
    if not 0 <= influence <= 1:
        raise InputError(f"--influence {influence}: a probability lies between 0 and 1.")
    write(Path(output), users=users, seed=seed, influence=influence, progress=step)
    print(f"Wrote synthetic Qilin of {users} users to {output}")


def main(args: list[str]) -> None:
    """Parse and run."""
    call(synthesize, args)
