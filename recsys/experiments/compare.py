"""Runs side by side, on the same requests, with intervals."""

from dataclasses import dataclass

import numpy as np

from recsys.errors import InputError, did_you_mean
from recsys.experiments.runs import Run
from recsys.metrics import Interval, mean_interval, paired_interval


@dataclass(frozen=True)
class Row:
    """One run's metric and its difference to the baseline, both with 95 % intervals over users."""

    run: Run
    value: Interval
    difference: Interval | None
    """None for the baseline itself."""


def compare(runs: list[Run], metric: str, baseline: Run | None = None) -> list[list[Row]]:
    """Groups of comparable runs, each sorted by `metric`, best first.

    Runs on other data or under another protocol stand in a group of their own: their numbers cannot be ranked together.
    Differences are paired, request by request, to `baseline`, or to the group's first run where it is in another group.

    Raises:
        InputError: a run lacks the metric.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.fingerprint, repr(sorted(run.protocol.items()))), []).append(run)
    return [_rows(group, metric, baseline if baseline in group else group[0]) for group in groups.values()]


def _rows(runs: list[Run], metric: str, baseline: Run) -> list[Row]:
    base, clusters = _values(baseline, metric)
    rows = []
    for run in runs:
        values, _ = _values(run, metric)
        difference = None if run is baseline else paired_interval(values, base, clusters)
        rows.append(Row(run, mean_interval(values, clusters), difference))
    return sorted(rows, key=lambda row: -row.value.mean)


def _values(run: Run, metric: str) -> tuple[np.ndarray, np.ndarray]:
    requests = run.requests()
    if metric not in requests.columns:
        known = [name for name in requests.columns if "@" in name]
        raise InputError(f"--metric {metric}: not measured in {run.name}.{did_you_mean(metric, known)}")
    users = requests["user_id"].rank("dense").cast(int).to_numpy() - 1
    return requests[metric].to_numpy(), users
