"""What one part of the report is about: runs that may be ranked together, each under one name and colour throughout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from recsys.experiments.compare import Row
from recsys.experiments.runs import Run
from recsys.page import Estimate, Hues
from recsys.page.style import COLOURS

BASELINES = {
    "popular": "popularity",
    "recent": "recent popularity",
    "random": "chance",
    "position": "order of exposure",
    "ceiling": "best possible",
}
"""What a test measures beside the model, and what it is called."""

PROTOCOLS = {
    "": "full ranking",
    "in_vocabulary/": "known clicks",
    "exposed/": "exposed items",
    "exposed_first_1000/": "exposed items, first 1,000 requests",
    "given/": "given candidates",
}
"""What stands before a metric, and what it is measured on."""

UNKNOWN = float("nan")


@dataclass(frozen=True)
class Group:
    """Comparable runs, best first."""

    rows: dict[str, list[Row]]
    """For each metric of the comparison the runs in the order of the first one."""
    names: Mapping[Path, str]
    letter: str = ""
    """What tells its places on the page from those of other groups."""

    @property
    def metric(self) -> str:
        """That the runs are ranked by."""
        return next(iter(self.rows))

    @cached_property
    def runs(self) -> list[Run]:
        """Best first."""
        return [row.run for row in self.rows[self.metric]]

    @cached_property
    def hues(self) -> dict[Path, int | None]:
        """A colour for each of the best runs and for the baseline; the others stay grey."""
        baseline = [row.run for row in self.rows[self.metric] if row.difference is None]
        chosen = dict.fromkeys(run.folder for run in [*self.runs[: COLOURS - 1], *baseline, *self.runs])
        drawn = list(chosen)[:COLOURS]
        places = [run.folder for run in self.runs if run.folder in drawn]
        return {run.folder: places.index(run.folder) if run.folder in drawn else None for run in self.runs}

    @property
    def drawn(self) -> list[Run]:
        """Runs with a colour: those that charts of many lines can show."""
        return [run for run in self.runs if self.hues[run.folder] is not None]

    def name(self, run: Run) -> str:
        """As it is called on the page."""
        return self.names[run.folder]

    def anchor(self, run: Run) -> str:
        """Of its card."""
        return f"run-{self.letter}{self.runs.index(run) + 1}"

    def place(self, section: str) -> str:
        """Anchor of a section."""
        return f"{section}-{self.letter}" if self.letter else section

    def series(self, *baselines: str) -> Hues:
        """Colours by name of the runs that are drawn, and grey for baselines."""
        return {self.name(run): self.hues[run.folder] for run in self.drawn} | dict.fromkeys(baselines)


def measured(part: Mapping[str, object], name: str) -> Estimate:
    """A metric and its interval from `metrics` and `intervals` as test.json has them; nan is what is missing."""
    metrics, ends = part.get("metrics"), part.get("intervals")
    mean = metrics.get(name, UNKNOWN) if isinstance(metrics, Mapping) else UNKNOWN
    found = ends.get(name) if isinstance(ends, Mapping) else None
    low, high = found if isinstance(found, Sequence) and None not in found else (UNKNOWN, UNKNOWN)
    return mean, low, high


def of_run(run: Run, name: str) -> Estimate:
    """A run's metric of the test and its interval."""
    return measured({"metrics": run.metrics, "intervals": run.intervals}, f"test/{name}")


def split_metric(metric: str) -> tuple[str, str, int]:
    """exposed/ndcg@10 → exposed/, ndcg, 10."""
    path, _, k = metric.rpartition("@")
    prefix, slash, kind = path.rpartition("/")
    return prefix + slash, kind, int(k)


def of_baseline(metric: str, ranker: str) -> str:
    """What a baseline's value of a metric is called."""
    return f"{ranker}/{metric}"
