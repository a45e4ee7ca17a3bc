"""How different the items of a list are, and whether their kinds are those of the history."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from recsys.errors import InputError
from recsys.metrics.catalogue import check_ids
from recsys.metrics.compiled import check_offsets, compiled, in_blocks, integers, whole_cutoffs
from recsys.metrics.lists import segments


def intra_list_distance(
    ranked: ArrayLike, vectors: ArrayLike, cutoffs: Iterable[int], threads: int = 1
) -> dict[str, np.ndarray]:
    """Return `{"distance@10": values [requests] float64, …}`: mean cosine distance of two of the first k items.

    Every pair counts once (Ziegler et al. 2005). An item whose vector is 0 is at distance 1 from every other. Padding
    is left out; a list of fewer than two items has no value (nan).

    Args:
        ranked: integer ids in rank order, `[requests, depth]`, 0 is padding.
        vectors: `[items + 1, dim]`, float32 or float64, the first for padding and of no account; or the kinds of each
            item, as in `miscalibration`, for vectors that are 1 where an item is of a kind and 0 elsewhere.
        cutoffs: the k of "@k", each at least 1.
        threads: requests are spread over so many; the values do not depend on it.

    Raises:
        InputError: for ids without a vector and for vectors that are not finite.
    """
    ranked, cutoffs, table = integers("ranked", ranked, ndim=2), whole_cutoffs(cutoffs), np.asarray(vectors)
    if table.dtype.kind in "iu":
        table = _kinds(table)
    elif table.ndim != 2 or table.dtype.kind != "f":
        raise InputError(f"vectors must be [items + 1, dim] of floats, not {list(table.shape)} of {table.dtype}.")
    else:
        table = np.require(table, np.float64 if table.dtype.itemsize > 4 else np.float32, ["C", "A", "W"])
    check_ids("ranked", ranked, len(table) - 1)
    ascending = np.unique(np.array(cutoffs, dtype=np.int64))
    values = np.empty((len(ascending), len(ranked)))

    def fill(start: int, stop: int) -> None:
        if table.dtype.kind == "f":
            _distances(start, stop, ranked, table, ascending, values)
        else:
            _kind_distances(start, stop, ranked, table, ascending, np.zeros(int(table.max(initial=0)) + 1), values)

    in_blocks(fill, len(ranked), threads)
    if np.isinf(values).any():
        raise InputError("Some listed item has a vector that is not finite.")
    row = {k: i for i, k in enumerate(ascending.tolist())}
    return {f"distance@{k}": values[row[k]] for k in cutoffs}


def miscalibration(
    ranked: ArrayLike,
    kinds: ArrayLike,
    histories: Any,
    cutoffs: Iterable[int],
    smoothing: float = 0.01,
    threads: int = 1,
) -> dict[str, np.ndarray]:
    """Return `{"miscalibration@10": values [requests] float64, …}`: 0 if a list has the history's mix of kinds.

    Kullback-Leibler divergence, in nats, of the list's mix of kinds q from the history's p (Steck 2018): Σ p(g) log
    (p(g) / q'(g)), where q' = (1 - smoothing) q + smoothing p stays finite for a kind that the list lacks. An item of
    several kinds counts in equal parts as each; one of no kind is left out of both. A history without a kind has no
    value (nan), nor has an empty list.

    Args:
        ranked: integer ids in rank order, `[requests, depth]`, 0 is padding.
        kinds: the kind of each item, such as a taxonomy, integers `[items + 1]`, or its different kinds, such as
            genres, `[items + 1, most]`; 0 is none.
        histories: `(offsets [requests + 1], ids [n])`, or a list with the ids of each history.
        cutoffs: the k of "@k", each at least 1.
        smoothing: between 0 and 1.
        threads: requests are spread over so many; the values do not depend on it.

    Raises:
        InputError: for ids without a kind and for kinds below 0.
    """
    ranked, kinds, cutoffs = integers("ranked", ranked, ndim=2), _kinds(np.asarray(kinds)), whole_cutoffs(cutoffs)
    offsets, history = segments("histories", histories)
    check_offsets("offsets", offsets, len(ranked), len(history))
    for name, ids in (("ranked", ranked), ("histories", history)):
        check_ids(name, ids, len(kinds) - 1)
    if not 0 < smoothing < 1:
        raise InputError(f"smoothing must be between 0 and 1, not {smoothing}.")
    ascending = np.unique(np.array(cutoffs, dtype=np.int64))
    values = np.empty((len(ascending), len(ranked)))

    def fill(start: int, stop: int) -> None:
        seen, listed = np.zeros((2, int(kinds.max(initial=0)) + 1))
        _divergences(start, stop, ranked, kinds, offsets, history, smoothing, ascending, seen, listed, values)

    in_blocks(fill, len(ranked), threads)
    row = {k: i for i, k in enumerate(ascending.tolist())}
    return {f"miscalibration@{k}": values[row[k]] for k in cutoffs}


def _kinds(kinds: np.ndarray) -> np.ndarray:
    """As `[items + 1, most]`.

    Raises:
        InputError: no integers, of other dimensions, below 0.
    """
    kinds = integers("kinds", kinds[:, None] if kinds.ndim == 1 else kinds, ndim=2)
    if kinds.min(initial=0) < 0:
        raise InputError(f"kinds must not be negative, as {kinds.min()} is.")
    return kinds


@compiled
def _distances(begin, end, ranked, table, cutoffs, values):  # type: ignore[no-untyped-def]
    """Fill `values [cutoffs, requests]`: the sum of n unit vectors has the length √(n + 2 Σ cosine of each pair)."""
    width = table.shape[1]
    together = np.empty(width)
    for request in range(begin, end):
        together[:] = 0.0
        place = items = units = 0
        for column in range(len(cutoffs)):
            while place < min(ranked.shape[1], cutoffs[column]):
                item = ranked[request, place]
                place += 1
                if item == 0:
                    continue
                square = 0.0
                for i in range(width):
                    square += float(table[item, i]) ** 2
                items += 1
                units += square > 0
                factor = 1 / np.sqrt(square) if square > 0 else 0.0
                for i in range(width):
                    together[i] += factor * table[item, i]
            length = 0.0
            for i in range(width):
                length += together[i] ** 2
            if not np.isfinite(length):
                values[column, request] = np.inf
            elif items < 2:
                values[column, request] = np.nan
            else:
                values[column, request] = 1 - (length - units) / (items * (items - 1.0))


@compiled
def _kind_distances(begin, end, ranked, kinds, cutoffs, together, values):  # type: ignore[no-untyped-def]
    """As `_distances`, of unit vectors that are equal where they are not 0; `together [kinds]` is 0 but meanwhile."""
    depth = min(ranked.shape[1], cutoffs[-1])
    for request in range(begin, end):
        place = items = units = 0
        length = 0.0
        for column in range(len(cutoffs)):
            while place < min(depth, cutoffs[column]):
                item = ranked[request, place]
                place += 1
                if item == 0:
                    continue
                number = np.count_nonzero(kinds[item])
                items += 1
                units += 1 if number else 0
                for kind in kinds[item]:
                    if kind > 0:
                        length += (2 * together[kind] + 1 / np.sqrt(number)) / np.sqrt(number)
                        together[kind] += 1 / np.sqrt(number)
            if items < 2:
                values[column, request] = np.nan
            else:
                values[column, request] = 1 - (length - units) / (items * (items - 1.0))
        for place in range(depth):
            for kind in kinds[ranked[request, place]]:
                together[kind] = 0.0


@compiled
def _divergences(begin, end, ranked, kinds, offsets, history, smoothing, cutoffs, seen, listed, values):  # type: ignore[no-untyped-def]
    """Fill `values [cutoffs, requests]`; `seen` and `listed [kinds]` are zero before and after each request."""
    depth = min(ranked.shape[1], cutoffs[-1])
    for request in range(begin, end):
        of_history = 0
        for item in history[offsets[request] : offsets[request + 1]]:
            of_history += _count_kinds(kinds[item], seen) if item > 0 else 0
        place = items = of_list = 0
        for column in range(len(cutoffs)):
            while place < min(depth, cutoffs[column]):
                item = ranked[request, place]
                place += 1
                items += item > 0
                of_list += _count_kinds(kinds[item], listed) if item > 0 else 0
            if items == 0 or of_history == 0:
                values[column, request] = np.nan
                continue
            # Each item of the history brings its part of its kinds' shares.
            divergence = 0.0
            for item in history[offsets[request] : offsets[request + 1]]:
                number = np.count_nonzero(kinds[item])
                for kind in kinds[item]:
                    if kind > 0 and item > 0:
                        p = seen[kind] / of_history
                        q = (1 - smoothing) * listed[kind] / max(of_list, 1) + smoothing * p
                        divergence += np.log(p / q) / (of_history * number)
            values[column, request] = divergence
        for item in history[offsets[request] : offsets[request + 1]]:
            for kind in kinds[item]:
                seen[kind] = 0.0
        for place in range(depth):
            for kind in kinds[ranked[request, place]]:
                listed[kind] = 0.0


@compiled
def _count_kinds(kinds, counts):  # type: ignore[no-untyped-def]
    """Add an item's kinds `[most]` to `counts [kinds]`, together 1; return whether it has any."""
    number = np.count_nonzero(kinds)
    for kind in kinds:
        if kind > 0:
            counts[kind] += 1 / number
    return 1 if number else 0
