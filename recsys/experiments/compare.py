"""Runs side by side, on the same requests, with intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from recsys.errors import InputError
from recsys.experiments.runs import KEYS, Run
from recsys.experiments.settings import flags, over_seeds, settings, welch
from recsys.metrics import Average, Interval, holm, mean_interval, mean_intervals, randomisation_test, wilcoxon_test
from recsys.metrics.intervals import differences, mean_of

LOWER = ("loss", "first_rank", "miscalibration", "rmse", "mae", "error")
"""Metrics that are the better the lower they are, by the beginning of their names."""


@dataclass(frozen=True)
class Row:
    """One setting's metric and its difference to the baseline's, with 95 % intervals.

    Values per request are those of the seeds' mean, and intervals are over users; where there are none, they are over
    seeds, and nan where there is but one.
    """

    run: Run
    """The first of `runs`."""
    value: Interval
    difference: Interval | None
    """None for the baseline itself, like what follows."""
    p: float | None = None
    """Of the randomisation test of the difference, corrected by Holm's method for the number of settings compared."""
    wilcoxon_p: float | None = None
    """Of Wilcoxon's signed-rank test of the users' differences, corrected in the same way."""
    runs: tuple[Run, ...] = ()
    """One for each seed."""
    seeds: Interval | None = None
    """Over the seeds, where there are several."""
    paired: bool = False
    """Whether the difference is one request by request."""
    flags: tuple[str, ...] = ()
    """What to keep in mind: unfinished, failed, single seed, damaged log."""


@dataclass(frozen=True)
class _Values:
    """One setting's metric: of each seed, and of the seeds' mean by request where that can be read."""

    runs: list[Run]
    seeds: list[float]
    requests: pl.DataFrame | None = None
    """Columns user_id, request_id and value."""

    @cached_property
    def clusters(self) -> np.ndarray:
        assert self.requests is not None
        return self.requests["user_id"].rank("dense").cast(pl.Int64).to_numpy() - 1

    @cached_property
    def by_request(self) -> np.ndarray:
        assert self.requests is not None
        return self.requests["value"].to_numpy()


def comparable(runs: Sequence[Run], metrics: Sequence[str]) -> list[list[Run]]:
    """Groups of runs that have measured all of the metrics on the same data under the same protocols."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        protocols = repr([sorted(run.protocol_of(metric).items()) for metric in metrics])
        groups.setdefault((run.fingerprint, protocols), []).append(run)
    return list(groups.values())


def compare(
    runs: Sequence[Run], metric: str, baseline: Run | None = None, inside: str | None = None
) -> list[list[Row]]:
    """Groups of comparable settings, each sorted by `metric`, best first; seeds of a setting are one row.

    Runs on other data or under another protocol stand in a group of their own: their numbers cannot be ranked together.
    Differences are paired, request by request, to `baseline`, or to the group's first run where it is in another group.
    With `inside`, of the requests of that slice alone.

    Raises:
        InputError: a run lacks the metric or the slice, or has other requests than the one that it is compared with.
    """
    groups = comparable(runs, [metric])
    place = None if baseline is None else baseline.folder
    return [_rows(group, metric, next((r for r in group if r.folder == place), group[0]), inside) for group in groups]


def differences_within(rows: Sequence[Row], base: Row, metric: str, inside: str | None) -> list[Interval | None]:
    """The rows' paired differences to `base` in a slice, or in all requests; None without values per request there."""
    average: Average = "user" if base.run.protocol.get("average") == "user" else "request"

    def read(row: Row) -> _Values | None:
        known = all(run.has_column(metric) and run.has_slice(inside) for run in row.runs)
        return _values(list(row.runs), metric, average, inside) if known else None

    of_base, each = read(base), [read(row) for row in rows]
    if of_base is None:
        return [None] * len(rows)
    known = {i: own for i, own in enumerate(each) if own is not None}
    _, apart = _intervals(list(known.values()), of_base, average)
    found = dict(zip(known, apart.values(), strict=True))
    return [found.get(i) for i in range(len(rows))]


def _rows(runs: list[Run], metric: str, baseline: Run, inside: str | None) -> list[Row]:
    average: Average = "user" if baseline.protocol.get("average") == "user" else "request"
    grouped = settings(runs)
    of_base = next(seeds for seeds in grouped if any(run is baseline for run in seeds))
    base = _values(of_base, metric, average, inside)
    each = [base if seeds is of_base else _values(seeds, metric, average, inside) for seeds in grouped]
    values, apart = _intervals(each, base, average)
    rows, tests = [], []
    for i, (seeds, own) in enumerate(zip(grouped, each, strict=True)):
        among = over_seeds(own.seeds) if len(own.seeds) > 1 else None
        value = values[i] if i in values else _value(own, metric, average)
        row = Row(seeds[0], value, None, runs=tuple(seeds), seeds=among, flags=flags(seeds))
        if i in apart:
            row = replace(row, difference=apart[i], paired=True)
            pair = own.by_request, base.by_request, base.clusters
            tests.append((randomisation_test(*pair, average=average), wilcoxon_test(*pair)))
        elif own is not base:
            row = replace(row, difference=welch(own.seeds, base.seeds))
        rows.append(row)
    paired = [i for i, row in enumerate(rows) if row.paired]
    for i, p, wilcoxon_p in zip(paired, holm([t[0] for t in tests]), holm([t[1] for t in tests]), strict=True):
        rows[i] = replace(rows[i], p=float(p), wilcoxon_p=float(wilcoxon_p))
    lower = metric.rpartition("/")[2].startswith(LOWER)
    return sorted(
        rows, key=lambda row: math.inf if math.isnan(row.value.mean) else row.value.mean * (1 if lower else -1)
    )


def _intervals(each: list[_Values], base: _Values, average: Average) -> tuple[dict[int, Interval], dict[int, Interval]]:
    """Of those that are paired with the base, and of itself, the values and the differences; users are drawn once."""
    if base.requests is None:
        return {}, {}
    paired = {i: own for i, own in enumerate(each) if own.requests is not None}
    for own in paired.values():
        _check_same(own, base)
    values = {f"{i}": own.by_request for i, own in paired.items()}
    apart = {f"{i}-": differences(values[f"{i}"], base.by_request) for i, own in paired.items() if own is not base}
    found = mean_intervals(values | apart, base.clusters, average=average)
    return {i: found[f"{i}"] for i in paired}, {i: found[f"{i}-"] for i in paired if f"{i}-" in found}


def _values(runs: list[Run], metric: str, average: Average, inside: str | None) -> _Values:
    column = metric.removeprefix("test/")
    if all(run.has_column(column) for run in runs):
        each = [_Values([run], [], _values_of(run.requests(inside, [column]), column)) for run in runs]
        for other in each[1:]:
            _check_same(other, each[0])
        assert each[0].requests is not None
        seeds = [mean_of(own.by_request, own.clusters, average) for own in each]
        mean = np.mean([own.by_request for own in each], axis=0)
        return _Values(runs, seeds, each[0].requests.with_columns(pl.Series("value", mean)))
    if inside:
        raise InputError(f"--metric {metric}: has no values per request in {runs[0].name}, of which slices are made.")
    found = [run.metric(metric) for run in runs]
    if any(value is None for value in found):
        raise InputError(f"--metric {metric}: not measured in {runs[found.index(None)].name}.")
    return _Values(runs, [value for value in found if value is not None])


def _values_of(table: pl.DataFrame, column: str) -> pl.DataFrame:
    return table.select(*KEYS, pl.col(column).cast(pl.Float64).alias("value"))


def _value(own: _Values, metric: str, average: Average) -> Interval:
    if own.requests is not None:
        return mean_interval(own.by_request, own.clusters, average=average)
    if len(own.runs) == 1:
        ends = own.runs[0].intervals.get(f"test/{metric}", own.runs[0].intervals.get(metric, (math.nan, math.nan)))
        return Interval(own.seeds[0], *ends)
    return over_seeds(own.seeds)


def _check_same(own: _Values, other: _Values) -> None:
    assert own.requests is not None
    assert other.requests is not None
    if not all(own.requests[key].equals(other.requests[key]) for key in KEYS):
        raise InputError(
            f"{own.runs[0].folder}: has other test requests than {other.runs[0].folder}; run `recsys test` again."
        )
