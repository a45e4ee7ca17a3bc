"""Names of runs as short as they can be told apart by."""

from collections.abc import Callable, Sequence
from pathlib import Path

from recsys.experiments.runs import Run

WAYS: tuple[Callable[[Run], str], ...] = (
    lambda run: run.model,
    lambda run: run.folder.parent.name,
    lambda run: f"{run.model}, seed {run.seed}",
    lambda run: f"{run.folder.parent.name}, seed {run.seed}",
    lambda run: run.name,
)


def names(runs: Sequence[Run]) -> dict[Path, str]:
    """By folder: the model, the configuration's name, either with the seed, or name and time; what is unique first."""
    for way in WAYS:
        found = [way(run) for run in runs]
        if all(found) and len(set(found)) == len(found):
            return dict(zip((run.folder for run in runs), found, strict=True))
    return {run.folder: str(run.folder) for run in runs}


def times(n: int, one: str, many: str = "") -> str:
    """`1 run`, `3 runs`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
