"""How near the top of each list the relevant items are: six metrics at every cutoff in one walk over each list."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from recsys.errors import InputError, did_you_mean
from recsys.metrics.compiled import compiled, integers

# The order of the rows that `_walk` writes.
METRICS = ("hit", "recall", "precision", "ndcg", "mrr", "map")


def evaluate(
    ranked: ArrayLike,
    offsets: ArrayLike,
    relevant: ArrayLike,
    cutoffs: Iterable[int],
    metrics: Iterable[str] = METRICS,
) -> dict[str, np.ndarray]:
    """Return `{"ndcg@10": values [requests] float64, …}` for every metric at every cutoff.

    With R the relevant items of a request and hits their number among its first k places:

    - hit: 1 if there is any hit, else 0
    - recall: hits / |R|
    - precision: hits / k
    - ndcg: DCG / IDCG, binary gains, discount 1 / log2(place + 1), IDCG over min(|R|, k) places
    - mrr: 1 / place of the first hit, 0 without one
    - map: sum over hits of the precision at their place, divided by min(|R|, k)

    Conventions:

    - A request with nothing relevant has no value: nan, and means and intervals leave it out.
    - 0 in `ranked` is padding: it fills a place and is never a hit. Beyond the end of a list there are no hits, so
      cutoffs may exceed its depth; precision still divides by k.
    - An id that is listed again fills a place and counts nothing.
    - `relevant` is a set: order and repetition do not matter. 0 in it is an item that the model does not know: each 0
      counts as one relevant item that no list can hold.

    These are RecBole 1.2.1's numbers (`recbole.evaluator.metrics`) for every request with something relevant; without,
    RecBole's ndcg, hit, precision and mrr are 0. They are Qilin's too. RecTools and ranx differ in MAP (they divide by
    |R|), torchmetrics as well (by the hits found).

    Args:
        ranked: integer ids in rank order, `[requests, depth]`.
        offsets: `[requests + 1]`; `relevant[offsets[i]:offsets[i + 1]]` is relevant to request i.
        relevant: integer ids `[offsets[-1]]`.
        cutoffs: the k of "@k", each at least 1.
        metrics: some of `METRICS`.
    """
    metrics, cutoffs = _known(metrics), _whole(cutoffs)
    ranked, offsets = integers("ranked", ranked, ndim=2), integers("offsets", offsets)
    relevant = integers("relevant", relevant)
    _check_segments(len(ranked), offsets, len(relevant))
    if min(ranked.min(initial=0), relevant.min(initial=0)) < 0:
        raise InputError("ranked and relevant must not hold negative ids; padding is 0.")
    ascending = np.unique(np.array(cutoffs, dtype=np.int64))
    values = np.empty((len(METRICS), len(ascending), len(ranked)))
    offsets, relevant = _as_sets(offsets, relevant)
    _walk(ranked, offsets, relevant, ascending, _ideal_gains(offsets), values)
    row = {k: i for i, k in enumerate(ascending.tolist())}
    return {f"{name}@{k}": values[METRICS.index(name), row[k]] for name in metrics for k in cutoffs}


def _known(metrics: Iterable[str]) -> list[str]:
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if name not in METRICS:
            raise InputError(f"There is no metric {name!r}.{did_you_mean(str(name), METRICS)}")
    return names


def _whole(cutoffs: Iterable[int]) -> list[int]:
    whole: list[int] = integers("cutoffs", list(cutoffs)).tolist()
    if not whole or min(whole) < 1:
        raise InputError(f"cutoffs must be one or more integers from 1 on, not {whole}.")
    return whole


def _check_segments(requests: int, offsets: np.ndarray, ids: int) -> None:
    if len(offsets) != requests + 1:
        raise InputError(f"offsets must hold {requests + 1} numbers for {requests} ranked lists, not {len(offsets)}.")
    if offsets[0] != 0 or offsets[-1] != ids or (np.diff(offsets) < 0).any():
        raise InputError(f"offsets must ascend from 0 to {ids}, the number of relevant ids.")


def _as_sets(offsets: np.ndarray, relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Same offsets and ids with those of each request ascending and distinct; each 0 stays."""
    request = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    following = request[1:] == request[:-1]
    if not (following & (np.diff(relevant) <= 0)).any():
        return offsets, relevant
    relevant = relevant[np.lexsort((relevant, request))]
    repeated = np.zeros(len(relevant), dtype=bool)
    repeated[1:] = following & (np.diff(relevant) == 0) & (relevant[1:] > 0)
    return offsets - np.concatenate(([0], np.cumsum(repeated)))[offsets], relevant[~repeated]


def _ideal_gains(offsets: np.ndarray) -> np.ndarray:
    """DCG of 0, 1, 2, … hits at the top, up to the largest number of relevant ids."""
    places = np.arange(1, np.diff(offsets).max(initial=0) + 1)
    return np.concatenate(([0.0], np.cumsum(1 / np.log2(places + 1))))


@compiled
def _walk(ranked, offsets, relevant, cutoffs, ideal, values):  # type: ignore[no-untyped-def]
    """Fill `values [metrics, cutoffs, requests]`; cutoffs ascend, so that each list is walked once."""
    requests, depth = ranked.shape
    for request in range(requests):
        start, stop = offsets[request], offsets[request + 1]
        size = stop - start
        if size == 0:
            values[:, :, request] = np.nan
            continue
        sieve = np.uint64(0)
        for i in range(start, stop):
            sieve |= _bit(relevant[i])
        place = hits = first = 0
        gain = precisions = 0.0
        for column in range(len(cutoffs)):
            cutoff = cutoffs[column]
            while place < min(cutoff, depth):
                item = ranked[request, place]
                place += 1
                # A 64-bit Bloom filter spares nearly every listed item the search.
                if not sieve & _bit(item) or not _holds(relevant, start, stop, item):
                    continue
                if _holds_before(ranked, request, place - 1, item):
                    continue
                hits += 1
                first = first or place
                gain += 1 / np.log2(place + 1)
                precisions += hits / place
            reachable = min(size, cutoff)
            values[0, column, request] = hits > 0
            values[1, column, request] = hits / size
            values[2, column, request] = hits / cutoff
            values[3, column, request] = gain / ideal[reachable]
            values[4, column, request] = 1 / first if first else 0.0
            values[5, column, request] = precisions / reachable


@compiled
def _bit(item):  # type: ignore[no-untyped-def]
    # Fibonacci hashing: the top six bits of the product choose one bit of 64.
    return np.uint64(1) << ((np.uint64(item) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(58))


@compiled
def _holds(relevant, start, stop, item):  # type: ignore[no-untyped-def]
    """Binary search; padding is nowhere."""
    end = stop
    while start < stop:
        middle = (start + stop) // 2
        if relevant[middle] < item:
            start = middle + 1
        else:
            stop = middle
    return item > 0 and start < end and relevant[start] == item


@compiled
def _holds_before(ranked, request, end, item):  # type: ignore[no-untyped-def]
    # Only asked for hits, which are few.
    for place in range(end):  # noqa: SIM110
        if ranked[request, place] == item:
            return True
    return False
