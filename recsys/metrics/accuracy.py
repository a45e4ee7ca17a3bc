"""How near the top of each list the relevant items are: every metric at every cutoff in one walk over the hits."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from recsys.errors import InputError, did_you_mean
from recsys.metrics.compiled import compiled, in_blocks, whole_cutoffs
from recsys.metrics.definitions import Hits, Peer, definition_of, write
from recsys.metrics.lists import as_lists

METRICS = ("hit", "recall", "precision", "ndcg", "mrr", "map")
ALL_METRICS = (*METRICS, "r_precision", "first_rank")

_FEW = 128  # relevant items up to which the list is searched for each of them


def evaluate(
    ranked: Any,
    relevant: Any,
    cutoffs: Iterable[int],
    metrics: Iterable[str] = METRICS,
    compat: Peer | None = None,
    threads: int = 1,
) -> dict[str, np.ndarray]:
    """Return `{"ndcg@10": values [requests] float64, …}` for every metric at every cutoff.

    With R the relevant items of a request and hits those among the first k of its list:

    - hit: 1 if there is any hit, else 0
    - recall: hits / |R|
    - precision: hits / k
    - ndcg: DCG / IDCG, binary gains, discount 1 / log2(place + 1), IDCG over min(|R|, k) places
    - mrr: 1 / place of the first hit, 0 without one
    - map: sum over hits of the precision at their place, divided by min(|R|, k)
    - r_precision: hits among the first min(|R|, k) / |R|
    - first_rank: place of the first hit; without one there is no value

    Conventions:

    - A request with nothing relevant has no value: nan, and means and intervals leave it out.
    - 0 in `ranked` is padding: it fills a place and is never a hit. Beyond the end of a list there are no hits, so
      cutoffs may exceed its depth; precision still divides by k.
    - An id that is listed again fills a place and counts nothing.
    - Relevant items are a set: order and repetition do not matter. 0 among them is an item that the model does not
      know: each 0 counts as one relevant item that no list can hold.
    - Cutoffs may come in any order; one that is given twice is given once.

    Other libraries differ where docs/metrics.md says so; `compat` gives their values.

    Args:
        ranked: integer ids in rank order, `[requests, depth]`; or a frame (pandas, Polars, or a mapping of columns) of
            `request_id` or `user_id`, `item_id`, and `rank` (from 1 on) or `score` (higher is better; the order of
            equal scores is drawn at random, the same in every call).
        relevant: `(offsets [requests + 1], ids [n])`, where `ids[offsets[i]:offsets[i + 1]]` are relevant to request
            i; or a sequence of the relevant ids of each request; or a frame of the pairs. With frames the result
            begins with the column of requests, ascending: all that are in either frame. None if `ranked` is RecBole's
            `rec.topk` `[requests, depth + 1]`: 1 for each hit, and in the last column the number of relevant items.
        cutoffs: the k of "@k", each at least 1.
        metrics: some of `ALL_METRICS`.
        compat: give the values that this library would.
        threads: requests are spread over so many; the values do not depend on it.

    Raises:
        InputError: for ids below 0, and for what does not fit together.
    """
    metrics, cutoffs, definition = _known(metrics), whole_cutoffs(cutoffs), definition_of(compat)
    lists = as_lists(ranked, relevant, max(cutoffs))
    ascending = np.unique(np.array(cutoffs, dtype=np.int64))
    sizes = np.diff(lists.offsets)
    longest = max(lists.ranked.shape[1], sizes.max(initial=1))
    if definition.ideal_list_holds == "k":
        longest = max(longest, ascending[-1])
    gains = 1 / np.log2(np.arange(2, 2 + longest))
    ideal = np.concatenate(([0.0], np.cumsum(gains)))
    # In one piece: freed and allocated again in parts, as many bytes would be new pages each time.
    values = np.empty((len(metrics), len(ascending), len(lists.ranked)))

    def fill(start: int, stop: int) -> None:
        counts = np.empty((4, len(ascending), stop - start))
        first = np.empty(stop - start)
        lowest = _count(start, lists.ranked, lists.offsets, lists.relevant, ascending, gains, counts, first)
        if lowest < 0:
            raise InputError("ranked must not hold negative ids; padding is 0.")
        hits, early, gain, precisions = counts
        size = sizes[start:stop].astype(np.float64)
        found = Hits(hits, early, gain, precisions, first, size, ascending[:, None], ideal)
        write(metrics, found, definition, values[:, :, start:stop])

    in_blocks(fill, len(lists.ranked), threads)
    row = {k: i for i, k in enumerate(ascending.tolist())}
    return lists.named | {f"{name}@{k}": values[i, row[k]] for i, name in enumerate(metrics) for k in cutoffs}


def _known(metrics: Iterable[str]) -> list[str]:
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if name not in ALL_METRICS:
            raise InputError(f"There is no metric {name!r}.{did_you_mean(str(name), ALL_METRICS)}")
    return names


@compiled
def _count(begin, ranked, offsets, relevant, cutoffs, gains, counts, firsts):  # type: ignore[no-untyped-def]
    """Fill `counts [4, cutoffs, requests]` and `firsts [requests]` (see `Hits`), for the requests from `begin` on.

    Returns the lowest id that is listed.
    """
    lowest = 0
    depth = min(ranked.shape[1], cutoffs[-1])
    places = np.empty(depth, np.int64)
    for request in range(begin, begin + len(firsts)):
        row = ranked[request]
        start, stop = offsets[request], offsets[request + 1]
        size = stop - start
        while start < stop and relevant[start] == 0:
            start += 1
        for place in range(depth):
            lowest = min(lowest, row[place])
        found = 0
        if stop - start <= _FEW:
            for i in range(start, stop):
                # Looking at the whole list without a branch is many times faster than stopping at the hit.
                first = depth
                for place in range(depth):
                    first = min(first, place if row[place] == relevant[i] else depth)
                if first < depth:
                    j = found
                    while j > 0 and places[j - 1] > first:
                        places[j] = places[j - 1]
                        j -= 1
                    places[j] = first
                    found += 1
        else:
            found = _searched(row, depth, relevant, start, stop, places)
        firsts[request - begin] = places[0] + 1 if found else np.inf
        hits = early = 0
        gain = precisions = 0.0
        for column in range(len(cutoffs)):
            while hits < found and places[hits] < cutoffs[column]:
                place = places[hits] + 1
                hits += 1
                early += place <= size
                gain += gains[place - 1]
                precisions += hits / place
            counts[0, column, request - begin] = hits
            counts[1, column, request - begin] = early
            counts[2, column, request - begin] = gain
            counts[3, column, request - begin] = precisions
    return lowest


@compiled
def _searched(row, depth, relevant, start, stop, places):  # type: ignore[no-untyped-def]
    """Write the places of hits, by a binary search for each listed item; return their number."""
    found = 0
    for place in range(depth):
        item = row[place]
        low, high = start, stop
        while low < high:
            middle = (low + high) // 2
            if relevant[middle] < item:
                low = middle + 1
            else:
                high = middle
        if low == stop or relevant[low] != item:
            continue
        again = False
        for i in range(found):
            again |= row[places[i]] == item
        if not again:
            places[found] = place
            found += 1
    return found
