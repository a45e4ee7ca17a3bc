"""How sure a mean is: a bootstrap that resamples users, because requests of one user are not independent."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from recsys.errors import InputError
from recsys.metrics.compiled import compiled, floats, integers


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def mean_interval(
    values: ArrayLike, clusters: ArrayLike, rounds: int = 2000, seed: int = 0, level: float = 0.95
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
    """
    values, clusters = floats("values", values), integers("clusters", clusters)
    if len(values) != len(clusters):
        raise InputError(f"There must be one cluster for each of the {len(values)} values, not {len(clusters)}.")
    if rounds < 1 or not 0 < level < 1:
        raise InputError(f"rounds must be at least 1 and level between 0 and 1, not {rounds} and {level}.")
    present = ~np.isnan(values)
    _, members = np.unique(clusters[present], return_inverse=True)
    sizes = np.bincount(members).astype(np.float64)
    sums = np.bincount(members, weights=values[present])
    if len(sizes) < 2:
        return Interval(float(values[present].mean()) if len(sizes) else np.nan, np.nan, np.nan)
    means = _resampled_means(sums, sizes, rounds, np.uint64(seed % 2**64))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(float(values[present].mean()), low, high)


def paired_interval(
    a: ArrayLike, b: ArrayLike, clusters: ArrayLike, rounds: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Mean of `a - b` with its interval, for two systems' values `[requests]` on the same requests in the same order.

    As `mean_interval` of the differences. An interval that excludes 0 is a difference at that level; two equal runs
    give exactly 0, 0, 0.
    """
    a, b = floats("a", a), floats("b", b)
    if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
        raise InputError("a and b must have their values on the same requests, in the same order.")
    return mean_interval(a - b, clusters, rounds, seed, level)


@compiled
def _resampled_means(sums, sizes, rounds, seed):  # type: ignore[no-untyped-def]
    """Means `[rounds]`. Draw number n is a hash of (seed, n): no state, so the same everywhere."""
    count = np.uint64(len(sums))
    stream, draw = _mixed(seed), np.uint64(0)
    means = np.empty(rounds)
    for i in range(rounds):
        total = size = 0.0
        for _ in range(len(sums)):
            draw += np.uint64(1)
            bits = _mixed(stream + draw * np.uint64(0x9E3779B97F4A7C15))
            # Multiply and shift: 32 random bits to [0, count), uneven by at most count / 2**32.
            cluster = ((bits >> np.uint64(32)) * count) >> np.uint64(32)
            total += sums[cluster]
            size += sizes[cluster]
        means[i] = total / size
    return means


@compiled
def _mixed(bits):  # type: ignore[no-untyped-def]
    """Finaliser of splitmix64 (Steele, Lea & Flood 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
