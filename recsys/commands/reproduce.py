"""`recsys reproduce`."""

from pathlib import Path

from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.experiments.leaderboard import judge, read_leaderboard, rows_named
from recsys.experiments.measuring import measure
from recsys.progress import step

SHIPPED = (
    Path(__file__).parents[2] / "benchmarks" / "leaderboard.csv",
    Path(__file__).parents[1] / "_zoo" / "leaderboard.csv",
)


def reproduce(row: str, leaderboard: str | None = None, work: str = "reproduced", threads: int = 1) -> None:
    """Run a row of the leaderboard again, data and all, and say whether it agrees; exit code 2 if it does not.

    On the same machine with the same versions every metric has to come out to the digit, elsewhere within the row's
    95 % interval.

    Args:
        row: Name of the row, as sasrec_ml-100k/0; without the seed, as sasrec_ml-100k, the rows of every seed.
        leaderboard: File to take the row from (default: the shipped one).
        work: Folder for data and runs; data that are there already are used.
        threads: Number of threads; the shipped rows were measured with one.
    """
    path = Path(leaderboard) if leaderboard else next((file for file in SHIPPED if file.is_file()), SHIPPED[0])
    wrong = []
    for expected in rows_named(read_leaderboard(path), row):
        verdict = judge(expected, measure(expected, Path(work), step, threads))
        print(f"{expected.row} {'agrees' if verdict.agrees else 'DISAGREES'}: {'; '.join(verdict.reasons)}.")
        wrong += [] if verdict.agrees else [expected.row]
    if wrong:
        raise InputError(f"{', '.join(wrong)} did not come out as {path} says.")


def main(args: list[str]) -> None:
    """Parse and run."""
    call(reproduce, args, positional=True)
