"""What one part of the report is about: settings that may be ranked, each under one name and colour throughout."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from recsys.experiments.compare import LOWER, Row
from recsys.experiments.comparison import Group
from recsys.experiments.report.names import names
from recsys.experiments.runs import Run
from recsys.page import Estimate, Hues
from recsys.page.style import COLOURS

PROTOCOLS = {
    "": "full ranking",
    "in_vocabulary/": "known clicks",
    "exposed/": "exposed items",
    "exposed_first_1000/": "exposed items, first 1,000 requests",
    "given/": "given candidates",
}
"""What stands before a metric, and what it is measured on."""

UNKNOWN: Estimate = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Ranking:
    """Comparable settings, best first; a row is one of them, with a run for each of its seeds."""

    group: Group
    letter: str = ""
    """What tells its places on the page from those of other rankings."""

    @cached_property
    def rows(self) -> dict[str, list[Row]]:
        """For each metric the rows in the order of the first one."""
        found = [self.group.of(row) for row in self.group.ranked]
        return {metric: [each[metric] for each in found] for metric in self.group.rows}

    @property
    def metric(self) -> str:
        """That the rows are ranked by."""
        return next(iter(self.rows))

    @property
    def best(self) -> list[Row]:
        """The rows, best first."""
        return self.group.ranked

    @property
    def differs(self) -> list[dict[str, Any]]:
        """For each row the settings that are not alike."""
        return self.group.differs

    @property
    def runs(self) -> list[Run]:
        """Of all rows, best first."""
        return [run for row in self.best for run in row.runs]

    @property
    def baseline(self) -> Row:
        """That others are compared with."""
        return next(row for row in self.best if row.difference is None)

    @cached_property
    def _names(self) -> dict[Any, str]:
        return names(self.best, self.differs)

    def name(self, row: Row) -> str:
        """As it is called on the page."""
        return self._names[row.run.folder]

    @cached_property
    def _hues(self) -> dict[Any, int]:
        chosen = dict.fromkeys(row.run.folder for row in [*self.best[: COLOURS - 1], self.baseline, *self.best])
        drawn = set(list(chosen)[:COLOURS])
        return {folder: i for i, folder in enumerate(row.run.folder for row in self.best if row.run.folder in drawn)}

    def hue(self, row: Row) -> int | None:
        """A colour for each of the best and for the baseline; the others stay grey."""
        return self._hues.get(row.run.folder)

    @property
    def drawn(self) -> list[Row]:
        """Rows with a colour: those that charts of many lines can show."""
        return [row for row in self.best if self.hue(row) is not None]

    def series(self, *grey: str) -> Hues:
        """Colours by name of the rows that are drawn, and of what is drawn in grey."""
        return {self.name(row): self.hue(row) for row in self.drawn} | dict.fromkeys(grey)

    @cached_property
    def _places(self) -> dict[int, int]:
        return {id(run): i for i, run in enumerate(self.runs, 1)}

    def anchor(self, run: Run) -> str:
        """Of a run's card."""
        return f"run-{self.letter}{self._places[id(run)]}"

    def measured(self, run: Run, metric: str) -> Estimate:
        """A run's metric and its interval, of the requests that the ranking is of."""
        inside = self.group.inside
        return of_run(run, metric) if inside is None else estimate(run.slices.get(inside, {}), metric)

    def place(self, section: str) -> str:
        """Anchor of a section."""
        return f"{section}-{self.letter}" if self.letter else section


def better(metric: str, difference: float) -> bool:
    """Whether a difference is one for the better."""
    return (difference < 0) == metric.rpartition("/")[2].startswith(LOWER)


def estimate(part: Mapping[str, Mapping[str, Any]], name: str) -> Estimate:
    """A metric by its short name and its interval, from `metrics` and `intervals` as test.json has them.

    What is missing is nan.
    """
    metrics, intervals = part.get("metrics", {}), part.get("intervals", {})
    full = f"test/{name}" if f"test/{name}" in metrics else name
    low, high = intervals.get(full) or (None, None)
    mean = metrics.get(full, math.nan)
    return (mean, math.nan, math.nan) if low is None or high is None else (mean, low, high)


def of_run(run: Run, metric: str) -> Estimate:
    """A run's metric of the test and its interval."""
    return estimate({"metrics": run.metrics | run.catalogue, "intervals": run.intervals}, metric)


def over(row: Row, read: Callable[[Run], Estimate]) -> Estimate:
    """What is read of the only run of a row with its interval; of several seeds, mean, lowest and highest."""
    found = [read(run) for run in row.runs]
    if len(found) == 1:
        return found[0]
    means = [mean for mean, _, _ in found if math.isfinite(mean)]
    return (sum(means) / len(means), min(means), max(means)) if means else UNKNOWN


def split_metric(metric: str) -> tuple[str, str, int]:
    """exposed/ndcg@10 → exposed/, ndcg, 10; 0 for what has no cutoff."""
    path, _, k = metric.rpartition("@")
    prefix, slash, kind = (path or metric).rpartition("/")
    return prefix + slash, kind, int(k) if path and k.isdigit() else 0


def curve(row: Row, key: str) -> Sequence[tuple[float, float]]:
    """What was logged step by step; of several seeds the mean, where all of them have a value."""
    each = [dict(run.curves.get(key, [])) for run in row.runs]
    steps = sorted(set.intersection(*map(set, each)))
    return [(step, sum(values[step] for values in each) / len(each)) for step in steps]
