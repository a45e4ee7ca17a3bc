"""How well known the listed items are: popularity, the share from the long tail, and novelty, list by list."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from recsys.errors import InputError
from recsys.metrics.catalogue import check_ids
from recsys.metrics.compiled import compiled, in_blocks, integers, whole_cutoffs


def popularity(
    ranked: ArrayLike,
    counts: ArrayLike,
    cutoffs: Iterable[int],
    head: float = 0.8,
    total: int | None = None,
    compat: Literal["recbole"] | None = None,
    threads: int = 1,
) -> dict[str, np.ndarray]:
    """Return `{"popularity@10": values [requests] float64, "tail@10": …, "novelty@10": …}` at every cutoff.

    Means over the items among the first k of a list, padding left out; a list without items has no value (nan):

    - popularity: how often the item occurs in training (Yin et al. 2012)
    - tail: 1 if the item is not in the short head, the most popular items that together hold `head` of all occurrences
      (Abdollahpouri, Burke & Mobasher 2019); items of equal popularity are all in it, or none of them
    - novelty: self-information -log2(occurrences / total), in bits (Zhou et al. 2010); an item that does not occur is
      taken to occur once

    RecBole's tail, instead, is the tenth of the items that occur least, of equals those of the smallest ids
    (`compat="recbole"`; items that do not occur are not in it, and it holds at least one). RecTools' MeanInvUserFreq is
    this novelty with users for occurrences: `counts` the users of each item, `total` the number of users.

    Args:
        ranked: integer ids in rank order, `[requests, depth]`, 0 is padding.
        counts: how often each item occurs, integers `[items + 1]`, the first for padding and of no account.
        cutoffs: the k of "@k", each at least 1.
        head: share of all occurrences that the short head holds, between 0 and 1.
        total: occurrences in all; None is the sum of `counts`.
        compat: give the tail as this library would.
        threads: requests are spread over so many; the values do not depend on it.

    Raises:
        InputError: for ids without a count and for counts below 0.
    """
    ranked, counts, cutoffs = integers("ranked", ranked, ndim=2), integers("counts", counts), whole_cutoffs(cutoffs)
    check_ids("ranked", ranked, len(counts) - 1)
    if counts[1:].min() < 0:
        raise InputError(f"counts must not be negative, as {counts[1:].min()} is.")
    if not 0 < head < 1:
        raise InputError(f"head must be between 0 and 1, not {head}.")
    total = int(counts[1:].sum()) if total is None else total
    if total < 1:
        raise InputError("counts hold no occurrence, so that nothing can be said about popularity.")
    bound, last = _least_popular_tenth(counts) if compat == "recbole" else (_below_head(counts, head), 0)
    least = 1 if compat == "recbole" else 0  # RecBole does not count what does not occur
    ascending = np.unique(np.array(cutoffs, dtype=np.int64))
    values = np.empty((3, len(ascending), len(ranked)))
    bits = float(np.log2(total))
    in_blocks(
        lambda start, stop: _known(start, stop, ranked, counts, bound, last, least, bits, ascending, values),
        len(ranked),
        threads,
    )
    row = {k: i for i, k in enumerate(ascending.tolist())}
    names = ("popularity", "tail", "novelty")
    return {f"{name}@{k}": values[i, row[k]] for i, name in enumerate(names) for k in cutoffs}


def _below_head(counts: np.ndarray, head: float) -> int:
    """The popularity below which items are not in the short head."""
    distinct, items = _distribution(counts[1:])
    held = np.cumsum((distinct * items)[::-1])
    return int(distinct[::-1][np.searchsorted(held, head * held[-1])])


def _least_popular_tenth(counts: np.ndarray) -> tuple[int, int]:
    """Popularity of the last item of RecBole's tail, and the id of that item."""
    occurring = counts[1:][counts[1:] > 0]
    place = max(len(occurring) // 10, 1)
    distinct, items = _distribution(occurring)
    upto = np.cumsum(items)
    i = int(np.searchsorted(upto, place))
    alike = np.flatnonzero(counts[1:] == distinct[i]) + 1
    return int(distinct[i]), int(alike[place - (upto[i] - items[i]) - 1])


def _distribution(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct counts, ascending, and how many items have each."""
    if counts.max() > 8 * len(counts):
        return np.unique(counts, return_counts=True)
    items = np.bincount(counts)  # many times faster than sorting
    return np.flatnonzero(items), items[items > 0]


@compiled
def _known(begin, end, ranked, counts, bound, last, least, bits, cutoffs, values):  # type: ignore[no-untyped-def]
    """Fill `values [3, cutoffs, requests]`: an item is in the tail if its (count, id) is below (bound, last)."""
    depth = min(ranked.shape[1], cutoffs[-1])
    near = np.empty(depth, np.int64)
    for request in range(begin, end):
        row = ranked[request]
        # Counts are far apart in memory: to fetch those of a whole list first lets the fetches overlap.
        for place in range(depth):
            near[place] = counts[row[place]]
        done = items = occurrences = tail = 0
        known, product = 0.0, 1.0
        for column in range(len(cutoffs)):
            stop = min(depth, cutoffs[column])
            for place in range(done, stop):
                item, count = row[place], near[place]
                items += item > 0
                count *= item > 0
                occurrences += count
                tail += (least <= count) & ((count < bound) | ((count == bound) & (item <= last))) & (item > 0)
                # One logarithm for many items: of the product of their counts.
                product *= max(count, 1)
                if product > 1e280:
                    known += np.log2(product)
                    product = 1.0
            done = max(done, stop)
            if items == 0:
                values[:, column, request] = np.nan
                continue
            values[0, column, request] = occurrences / items
            values[1, column, request] = tail / items
            values[2, column, request] = bits - (known + np.log2(product)) / items
