"""The way of the CPU: a tile of scores, then one compiled walk over it that keeps the best of each request in a heap.

`torch.topk` costs four times the matrix product; the walk costs a twentieth of it, as nearly every score only has to be
seen to lie below the worst of the best. Python threads take blocks of requests and compute each on one core: threads
inside a product of small tiles wait for each other, and on a machine that others use too they wait for those.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from recsys.errors import InputError
from recsys.metrics.compiled import compiled
from recsys.ranking.arguments import NOT_A_NUMBER, scored

_TILE = 1 << 19  # scores: 2 MiB, which stay in a core's cache between the product and the walk
_WIDE = 1 << 22  # scores of a tile whose product all threads share
_FEW, _MANY = 128, 256  # requests in a block
_GROUP = 64  # scores that are compared at once


def best(
    vectors: Tensor, table: Tensor | None, k: int, offsets: Tensor, seen: Tensor, chunk: int | None
) -> tuple[Tensor, Tensor]:
    """`top_k` of checked arguments on the CPU."""
    requests, items = len(vectors), scored(vectors, table)
    offsets_, seen_ = _ascending(offsets.numpy(), seen.numpy(), items)
    scores = np.full((requests, k), -np.inf, np.float32)
    ids = np.zeros((requests, k), np.int64)
    # By the number of requests alone: the tiles, and with them the rounding, are the same for any number of threads.
    size = min(_MANY, max(_FEW, -(-requests // 8)))
    blocks = [slice(start, min(start + size, requests)) for start in range(0, requests, size)]
    shared = len(blocks) < 2 or requests * items <= _WIDE
    width = chunk or max(1, (_WIDE if shared else _TILE) // max(1, min(size, requests)))

    def rank(block: slice) -> None:
        within = offsets_[block.start : block.stop + 1]
        _rank(vectors[block], table, within, seen_, width, scores[block], ids[block])

    if shared:
        for block in blocks:
            rank(block)
    else:
        with _one_thread_each() as threads, ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(rank, blocks):
                pass
    return torch.from_numpy(ids), torch.from_numpy(scores)


def warm_up() -> None:
    """Have the walk compiled, or loaded if it was compiled on this machine before: no timed ranking should begin so."""
    none = torch.zeros(0, dtype=torch.int64)
    best(torch.ones(1, 1), torch.ones(2, 1), 1, torch.zeros(2, dtype=torch.int64), none, None)


@contextmanager
def _one_thread_each() -> Iterator[int]:
    """The number of threads that torch has; in here, and in threads that begin in here, each product is done by one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def _ascending(offsets: np.ndarray, seen: np.ndarray, items: int) -> tuple[np.ndarray, np.ndarray]:
    """The same lists, each ascending, in the one form that the kernel is compiled for; ids outside the table are 0."""
    first = np.repeat(np.arange(len(offsets) - 1) * items, np.diff(offsets))
    seen = np.where((seen > 0) & (seen < items), seen, 0)
    return np.require(offsets, np.int64, ["C", "A", "W"]), np.sort(first + seen) - first


def _rank(
    vectors: Tensor,
    table: Tensor | None,
    offsets: np.ndarray,
    seen: np.ndarray,
    width: int,
    scores: np.ndarray,
    ids: np.ndarray,
) -> None:
    """Fill `scores` and `ids` `[requests, k]` of one block."""
    vectors = vectors.float()
    items = scored(vectors, table)
    tile = torch.empty(0 if table is None else len(vectors) * min(width, items))
    for start in range(0, items, width):
        stop = min(start + width, items)
        if table is None:
            part = vectors[:, start:stop].contiguous()
        else:
            part = tile[: len(vectors) * (stop - start)].view(len(vectors), stop - start)
            torch.mm(vectors, table[start:stop].float().T, out=part)
        if _push(part.numpy(), start, offsets, seen, scores, ids) >= 0:
            raise InputError(NOT_A_NUMBER)
    order = np.lexsort((ids, -scores))
    scores[:] = np.take_along_axis(scores, order, 1)
    ids[:] = np.take_along_axis(ids, order, 1)


@compiled
def _push(tile, first, offsets, seen, scores, ids):  # type: ignore[no-untyped-def]
    """Push the scores `tile [requests, width]` of the items from `first` on; the first request with a nan, or -1.

    `scores` and `ids` are a binary heap for each request, its root the worst: the lowest score, of equal ones the
    largest id. Items come by ascending id, so that one which only equals the worst is worse.
    """
    requests, width = tile.shape
    for request in range(requests):
        row = tile[request]
        worst = scores[request, 0]
        start = 1 if first == 0 else 0
        while start < width:
            stop = min(start + _GROUP, width)
            # "Not at most" is true of nan too. A fixed number of turns is what makes it one comparison of vectors.
            if stop == start + _GROUP:
                group = row[start:stop]
                found = np.int32(0)
                for i in range(_GROUP):
                    found |= np.int32(not (group[i] <= worst))
                if not found:
                    start = stop
                    continue
            for i in range(start, stop):
                score = row[i]
                if score <= worst:
                    continue
                if score != score:
                    return request
                if not _contains(seen, offsets[request], offsets[request + 1], first + i):
                    _replace_root(scores[request], ids[request], score, first + i)
                    worst = scores[request, 0]
            start = stop
    return -1


@compiled
def _contains(seen, start, stop, item):  # type: ignore[no-untyped-def]
    end = stop
    while start < stop:
        middle = (start + stop) // 2
        if seen[middle] < item:
            start = middle + 1
        else:
            stop = middle
    return start < end and seen[start] == item


@compiled
def _replace_root(scores, ids, score, item):  # type: ignore[no-untyped-def]
    """Put the item in the place of the worst, and sift it down."""
    place, k = 0, len(scores)
    while True:
        child = 2 * place + 1
        if child >= k:
            break
        other = child + 1
        if other < k and _worse(scores[other], ids[other], scores[child], ids[child]):
            child = other
        if not _worse(scores[child], ids[child], score, item):
            break
        scores[place], ids[place] = scores[child], ids[child]
        place = child
    scores[place], ids[place] = score, item


@compiled
def _worse(score, item, other_score, other_item):  # type: ignore[no-untyped-def]
    return score < other_score or (score == other_score and item > other_item)
