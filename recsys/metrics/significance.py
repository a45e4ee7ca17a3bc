"""Whether two systems differ: tests of paired values, with users as the units that are independent."""

import math

import numpy as np
from numpy.typing import ArrayLike

from recsys.errors import InputError
from recsys.metrics.compiled import compiled, floats, integers
from recsys.metrics.intervals import Average, cluster_sums, differences, mixed

_FEW = 50  # users, up to which Wilcoxon's test counts instead of approximating
_EXACT = 1e-9  # of the sum of all sizes: what rounding can make of two equal totals


def randomisation_test(
    a: ArrayLike,
    b: ArrayLike,
    clusters: ArrayLike,
    rounds: int = 10_000,
    seed: int = 0,
    average: Average = "request",
) -> float:
    """Two-sided p-value of the mean of `a - b`, for two systems' values `[requests]` on the same requests.

    Were the systems alike, either's values of a user could as well be the other's: each round exchanges them for a
    random half of the users, all requests of a user together (Fisher's randomisation test; Smucker, Allan & Carterette
    2007). p is the share of rounds whose mean difference is as far from 0, the observed one counted among them
    (Davison & Hinkley 1997, §4.2.5), or of all exchanges that there are where these are no more than `rounds`. Equal
    arguments give equal bits, on every machine. Two equal systems have p = 1.

    Args:
        a: one metric of one system, `[requests]`.
        b: the same of the other; nan on the same requests.
        clusters: the user of each request, any integers, `[requests]`.
        rounds: exchanges; the smallest p is 1 / (rounds + 1).
        seed: of the exchanges.
        average: over requests, or over users, each of which then counts alike.
    """
    if rounds < 1:
        raise InputError(f"rounds must be at least 1, not {rounds}.")
    sums = _sums(a, b, clusters, average)
    if not sums.any():
        return 1.0
    every = len(sums) < 63 and 2 ** len(sums) <= rounds
    seed_, turns = np.uint64(seed % 2**64), 2 ** len(sums) if every else rounds
    least = abs(sums.sum()) - _EXACT * np.abs(sums).sum()
    beyond = int(_beyond(np.pad(sums, (0, -len(sums) % 64)), least, turns, every, seed_))
    return beyond / turns if every else (beyond + 1) / (turns + 1)


def wilcoxon_test(a: ArrayLike, b: ArrayLike, clusters: ArrayLike) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test (1945) of the users' mean differences.

    Against a shift of the differences, not of their mean: a few users with large ones move it less. Users without a
    difference are left out, as Wilcoxon did. Two equal systems have p = 1. Up to 50 users it is exact where no two
    differences are of one size; for more it is the normal approximation, corrected for those.

    Args:
        a: one metric of one system, `[requests]`.
        b: the same of the other; nan on the same requests.
        clusters: the user of each request, any integers, `[requests]`.
    """
    means = _sums(a, b, clusters, "user")
    if not means.any():
        return 1.0
    if len(means) > _FEW:
        return _by_ranks(means[means != 0])
    from scipy.stats import wilcoxon

    return float(wilcoxon(means).pvalue)


def _by_ranks(differences: np.ndarray) -> float:
    """As scipy.stats has it for more than 50, whose import alone takes longer than a hundred tests."""
    count = len(differences)
    _, place, ties = np.unique(np.abs(differences), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[place]
    alike = (ties.astype(np.float64) ** 3 - ties).sum()
    variance = (count * (count + 1) * (2 * count + 1) - alike / 2) / 24
    z = (ranks[differences > 0].sum() - count * (count + 1) / 4) / math.sqrt(variance)
    return math.erfc(abs(z) / math.sqrt(2))


def holm(p_values: ArrayLike) -> np.ndarray:
    """p-values corrected for their number, in their order (Holm 1979): below 0.05, one of them is wrong in 1 of 20."""
    p = floats("p_values", p_values)
    if np.isnan(p).any() or (p < 0).any() or (p > 1).any():
        raise InputError("p_values must lie between 0 and 1.")
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1, np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]))
    return corrected


def _sums(a: ArrayLike, b: ArrayLike, clusters: ArrayLike, average: Average) -> np.ndarray:
    difference, users = differences(a, b), integers("clusters", clusters)
    if len(difference) != len(users):
        raise InputError(f"There must be one cluster for each of the {len(difference)} values, not {len(users)}.")
    return cluster_sums([difference], users, average)[0][0]


@compiled
def _beyond(sums, least, turns, every, seed):  # type: ignore[no-untyped-def]
    """In how many turns the sum, with signs at random, is at least `least` from 0; every pattern of signs once.

    `sums` is padded to a multiple of 64, one bit of a hash of (seed, number) for each.
    """
    words = len(sums) // 64
    stream = mixed(seed)
    lanes = np.empty(16)
    found = 0
    for turn in range(turns):
        lanes[:] = 0
        for word in range(words):
            bits = np.uint64(turn)
            if not every:
                number = np.uint64(turn) * np.uint64(words) + np.uint64(word + 1)
                bits = mixed(stream + number * np.uint64(0x9E3779B97F4A7C15))
            for start in range(0, 64, 16):
                for lane in range(16):
                    sign = 1.0 - 2.0 * np.float64((bits >> np.uint64(start + lane)) & np.uint64(1))
                    lanes[lane] += sign * sums[64 * word + start + lane]
        total = 0.0
        for lane in range(16):
            total += lanes[lane]
        found += abs(total) >= least
    return found
