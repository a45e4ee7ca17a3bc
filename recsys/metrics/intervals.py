"""How sure a mean is: a bootstrap that resamples users, because requests of one user are not independent."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from recsys.errors import InputError
from recsys.metrics.compiled import compiled, floats, integers

Average = Literal["request", "user"]
"""What a mean is taken over: all requests alike, or all users alike, each with the mean of its requests."""

_LANES = 16  # sums that are kept apart, so that they can be vectors; fixed, so that the rounding is the same everywhere


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def mean_interval(
    values: ArrayLike,
    clusters: ArrayLike,
    rounds: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    average: Average = "request",
) -> Interval:
    """Mean of `values [requests]` with a percentile bootstrap interval over clusters.

    Each round draws as many clusters as there are, with replacement, all requests of a cluster together, and takes
    sum of values / number of requests: the mean over requests, as in the estimate itself (Davison & Hinkley 1997,
    §3.8 and 5.3.1). The interval spans the middle `level` of those means. Equal arguments give equal bits, on every
    machine and in any number of threads.

    Requests without a value (nan) are left out. Fewer than two clusters say nothing about their spread: low and high
    are nan. With fewer than about thirty the interval is somewhat too narrow.

    Args:
        values: one metric, one value a request, `[requests]`.
        clusters: the user of each request, any integers, `[requests]`.
        rounds: resamples; 2,000 settle the ends of a 95 % interval to a few per cent of its width.
        seed: of the resampling; equal seeds draw the same clusters whatever the values.
        level: share of the resampled means inside the interval, between 0 and 1.
        average: over requests, or over clusters, each of which then counts alike.
    """
    return mean_intervals({"": values}, clusters, rounds, seed, level, average)[""]


def mean_intervals(
    values: Mapping[str, ArrayLike],
    clusters: ArrayLike,
    rounds: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    average: Average = "request",
    threads: int = 1,
) -> dict[str, Interval]:
    """`mean_interval` of each of several metrics of the same requests, bit for bit, with the drawing done once.

    Args:
        values: one value a request for each name, `[requests]`.
        clusters: as of `mean_interval`, like the other arguments.
        rounds: resamples.
        seed: of the resampling.
        level: share of the resampled means inside the interval.
        average: over requests, or over clusters.
        threads: that share the rounds; their number changes no bit.
    """
    columns, clusters = (
        {name: floats("values", column) for name, column in values.items()},
        integers("clusters", clusters),
    )
    for column in columns.values():
        if len(column) != len(clusters):
            raise InputError(f"There must be one cluster for each of the {len(column)} values, not {len(clusters)}.")
    if rounds < 1 or threads < 1 or not 0 < level < 1:
        raise InputError(
            f"rounds and threads must be at least 1 and level between 0 and 1, not {rounds}, {threads} and {level}."
        )
    # What lacks a value on the same requests is resampled together.
    alike: dict[bytes, list[str]] = {}
    for name, column in columns.items():
        alike.setdefault(np.isnan(column).tobytes(), []).append(name)
    found: dict[str, Interval] = {}
    for names in alike.values():
        sums, sizes = cluster_sums([columns[name] for name in names], clusters, average)
        low = high = np.full(len(names), np.nan)
        if len(sizes) > 1:
            totals = _resampled_totals(np.vstack([sums, sizes]), rounds, seed, threads)
            low, high = np.quantile(totals[:-1] / totals[-1], [(1 - level) / 2, (1 + level) / 2], axis=1)
        means = [mean_of(columns[name], clusters, average) for name in names]
        found |= {name: Interval(*map(float, ends)) for name, *ends in zip(names, means, low, high, strict=True)}
    return {name: found[name] for name in columns}


def paired_interval(
    a: ArrayLike,
    b: ArrayLike,
    clusters: ArrayLike,
    rounds: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    average: Average = "request",
) -> Interval:
    """Mean of `a - b` with its interval, for two systems' values `[requests]` on the same requests in the same order.

    As `mean_interval` of the differences. An interval that excludes 0 is a difference at that level; two equal runs
    give exactly 0, 0, 0.
    """
    return mean_interval(differences(a, b), clusters, rounds, seed, level, average)


def differences(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """`a - b` `[requests]`, if both have their values on the same requests."""
    a, b = floats("a", a), floats("b", b)
    if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
        raise InputError("a and b must have their values on the same requests, in the same order.")
    return a - b


def cluster_sums(columns: list[np.ndarray], clusters: np.ndarray, average: Average) -> tuple[np.ndarray, np.ndarray]:
    """Sums `[columns, clusters]` and the numbers of requests `[clusters]` that they are sums of; without the nan ones.

    All columns are nan on the same requests. Averaged over users, each cluster has its mean and counts as one.
    """
    if average not in ("request", "user"):
        raise InputError(f"average must be 'request' or 'user', not {average!r}.")
    present = ~np.isnan(columns[0])
    _, members = np.unique(clusters[present], return_inverse=True)
    sizes = np.bincount(members).astype(np.float64)
    sums = np.array([np.bincount(members, weights=column[present]) for column in columns])
    return (sums / sizes, np.ones_like(sizes)) if average == "user" else (sums, sizes)


def mean_of(values: np.ndarray, clusters: np.ndarray, average: Average) -> float:
    """Mean of the values that are not nan, over requests or over clusters; nan where there are none."""
    present = ~np.isnan(values)
    if not present.any():
        return float("nan")
    return float(
        values[present].mean() if average == "request" else cluster_sums([values], clusters, average)[0].mean()
    )


def _resampled_totals(sums: np.ndarray, rounds: int, seed: int, threads: int) -> np.ndarray:
    """Totals `[columns, rounds]` of `sums [columns, clusters]` over the clusters that each round draws."""
    count = sums.shape[1]
    padded = np.pad(sums, ((0, 0), (0, -count % _LANES)))
    totals = np.empty((rounds, len(sums)))
    resample = partial(_resample, padded, count, np.uint64(seed % 2**64), totals)
    edges = np.linspace(0, rounds, threads + 1).astype(int).tolist()
    if threads == 1:
        resample(0, rounds)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(resample, edges[:-1], edges[1:]))
    return np.ascontiguousarray(totals.T)


@compiled
def _resample(sums, count, seed, totals, first, last):  # type: ignore[no-untyped-def]
    """Fill `totals [rounds, columns]` of the rounds `first … last - 1`.

    A round counts how often it draws each cluster, once for all columns. Draw number n is a hash of (seed, n): no
    state, so the same in any thread.
    """
    columns, padded = sums.shape
    stream, pairs, many = mixed(seed), (count + 1) // 2, np.uint64(count)
    drawn, lanes = np.empty(padded), np.empty(_LANES)
    for i in range(first, last):
        drawn[:] = 0
        number = np.uint64(i) * np.uint64(pairs)
        for j in range(pairs):
            number += np.uint64(1)
            bits = mixed(stream + number * np.uint64(0x9E3779B97F4A7C15))
            # Multiply and shift: 32 random bits to [0, count), uneven by at most count / 2**32.
            drawn[((bits >> np.uint64(32)) * many) >> np.uint64(32)] += 1
            if 2 * j + 1 < count:
                drawn[((bits & np.uint64(0xFFFFFFFF)) * many) >> np.uint64(32)] += 1
        for column in range(columns):
            lanes[:] = 0
            for start in range(0, padded, _LANES):
                for lane in range(_LANES):
                    lanes[lane] += drawn[start + lane] * sums[column, start + lane]
            total = 0.0
            for lane in range(_LANES):
                total += lanes[lane]
            totals[i, column] = total


@compiled
def mixed(bits):  # type: ignore[no-untyped-def]
    """Finaliser of splitmix64 (Steele, Lea & Flood 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
