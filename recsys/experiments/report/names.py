"""Names of settings as short as they can be told apart by."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys.experiments.compare import Row
from recsys.experiments.runs import Run

Differs = Mapping[str, Any]
"""Settings that are not alike, by key."""


def names(rows: Sequence[Row], differs: Sequence[Differs]) -> dict[Path, str]:
    """By folder of the first run: the model's name where it stands in one row, else what its rows differ in.

    That is the name of the configuration, a single setting, the time, or name and time; what tells them apart first.
    """
    by_model: dict[str, list[tuple[Run, Differs]]] = {}
    for row, own in zip(rows, differs, strict=True):
        by_model.setdefault(row.run.model, []).append((row.run, own))
    found = {
        run.folder: name
        for alike in by_model.values()
        for (run, _), name in zip(alike, _told([run for run, _ in alike], [own for _, own in alike]), strict=True)
    }
    if len(set(found.values())) < len(found):
        return {row.run.folder: str(row.run.folder) for row in rows}
    return found


def _told(alike: Sequence[Run], differs: Sequence[Differs]) -> list[str]:
    ways: tuple[Callable[[Run], str], ...] = (
        lambda run: run.model,
        lambda run: run.folder.parent.name,
        lambda run: f"{run.model}, {run.folder.name}",
        lambda run: run.name,
    )
    candidates = [[way(run) for run in alike] for way in ways]
    candidates[2:2] = _settings(alike, differs)
    for told in candidates:
        if all(told) and len(set(told)) == len(told):
            return told
    return [str(run.folder) for run in alike]


def _settings(alike: Sequence[Run], differs: Sequence[Differs]) -> Iterator[list[str]]:
    for key in sorted({key for own in differs for key in own}, key=lambda key: (len(key), key)):
        if all(key in own for own in differs):
            called = key.replace("_", " ")
            for write in (_rounded, str):
                yield [f"{run.model}, {called} {write(own[key])}" for run, own in zip(alike, differs, strict=True)]


def _rounded(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def times(n: int, one: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{n:,} {one}{'' if n == 1 else 's'}"
