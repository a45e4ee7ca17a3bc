"""Runs side by side, on the same requests, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from recsys.errors import InputError, did_you_mean
from recsys.experiments.runs import Run
from recsys.metrics import Average, Interval, holm, mean_interval, paired_interval, randomisation_test, wilcoxon_test


@dataclass(frozen=True)
class Row:
    """One run's metric and its difference to the baseline, both with 95 % intervals over users."""

    run: Run
    value: Interval
    difference: Interval | None
    """None for the baseline itself, like what follows."""
    p: float | None = None
    """Of the randomisation test of the difference, corrected by Holm's method for the number of runs compared."""
    wilcoxon_p: float | None = None
    """Of Wilcoxon's signed-rank test of the users' differences, corrected in the same way."""


def comparable(runs: Sequence[Run], metrics: Sequence[str]) -> list[list[Run]]:
    """Groups of runs that have measured all of the metrics on the same data under the same protocols."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        protocols = repr([sorted(run.protocol_of(metric).items()) for metric in metrics])
        groups.setdefault((run.fingerprint, protocols), []).append(run)
    return list(groups.values())


def compare(runs: Sequence[Run], metric: str, baseline: Run | None = None) -> list[list[Row]]:
    """Groups of comparable runs, each sorted by `metric`, best first.

    Runs on other data or under another protocol stand in a group of their own: their numbers cannot be ranked together.
    Differences are paired, request by request, to `baseline`, or to the group's first run where it is in another group.

    Raises:
        InputError: a run lacks the metric, or has other requests than the one that it is compared with.
    """
    groups = comparable(runs, [metric])
    return [_rows(group, metric, baseline if baseline in group else group[0]) for group in groups]


def _rows(runs: list[Run], metric: str, baseline: Run) -> list[Row]:
    average: Average = "user" if baseline.protocol.get("average") == "user" else "request"
    requests = baseline.requests()
    base, clusters = _values(baseline, requests, metric)
    rows, tests = [], []
    for run in runs:
        own = requests if run.folder == baseline.folder else run.requests()
        values, _ = _values(run, own, metric)
        if not own.select("user_id", "request_id").equals(requests.select("user_id", "request_id")):
            raise InputError(f"{run.folder}: has other test requests than {baseline.folder}; run `recsys test` again.")
        difference = None
        if run.folder != baseline.folder:
            difference = paired_interval(values, base, clusters, average=average)
            p = randomisation_test(values, base, clusters, average=average)
            tests.append((p, wilcoxon_test(values, base, clusters)))
        rows.append(Row(run, mean_interval(values, clusters, average=average), difference))
    compared = [i for i, row in enumerate(rows) if row.difference is not None]
    for i, p, wilcoxon_p in zip(compared, holm([t[0] for t in tests]), holm([t[1] for t in tests]), strict=True):
        rows[i] = replace(rows[i], p=float(p), wilcoxon_p=float(wilcoxon_p))
    return sorted(rows, key=lambda row: -row.value.mean)


def _values(run: Run, requests: pl.DataFrame, metric: str) -> tuple[np.ndarray, np.ndarray]:
    if metric not in requests.columns:
        known = [name for name in requests.columns if "@" in name]
        raise InputError(f"--metric {metric}: not measured in {run.name}.{did_you_mean(metric, known)}")
    users = requests["user_id"].rank("dense").cast(int).to_numpy() - 1
    return requests[metric].to_numpy(), users
