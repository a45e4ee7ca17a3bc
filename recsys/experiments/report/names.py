"""Names of runs as short as they can be told apart by."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from recsys.experiments.report.settings import differing
from recsys.experiments.runs import Run


def names(runs: Sequence[Run]) -> dict[Path, str]:
    """By folder: the model's name where it has only one run, else what the model's runs differ in.

    That is the name of the configuration, the seed, a single setting, the time, or name and time; what tells them
    apart first.
    """
    by_model: dict[str, list[Run]] = {}
    for run in runs:
        by_model.setdefault(run.model, []).append(run)
    found = {run.folder: name for alike in by_model.values() for run, name in zip(alike, _told(alike), strict=True)}
    if len(set(found.values())) < len(found):
        return {run.folder: str(run.folder) for run in runs}
    return found


def _told(alike: Sequence[Run]) -> list[str]:
    ways: tuple[Callable[[Run], str], ...] = (
        lambda run: run.model,
        lambda run: run.folder.parent.name,
        lambda run: f"{run.model}, seed {run.seed}",
        *_settings(alike),
        lambda run: f"{run.model}, {run.folder.name}",
        lambda run: run.name,
    )
    for way in ways:
        told = [way(run) for run in alike]
        if all(told) and len(set(told)) == len(told):
            return told
    return [str(run.folder) for run in alike]


def _settings(alike: Sequence[Run]) -> Iterator[Callable[[Run], str]]:
    for key in sorted(differing(alike), key=len):
        last = key.rpartition(".")[2].replace("_", " ")
        yield lambda run, key=key, last=last: f"{run.model}, {last} {run.config.get(key)}"  # type: ignore[misc]


def times(n: int, one: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{n:,} {one}{'' if n == 1 else 's'}"
