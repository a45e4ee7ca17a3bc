"""The forms in which ranked lists and relevant items come, brought into one: integer ids in arrays."""

from typing import Any, NamedTuple

import numpy as np

from recsys.errors import InputError
from recsys.metrics.compiled import check_offsets, compiled, integers
from recsys.metrics.frames import arrays_of, is_frame


class Lists(NamedTuple):
    """Ranked lists and what is relevant to them.

    `ranked [requests, depth]`; `relevant[offsets[i]:offsets[i + 1]]` ascends, without repetition but of 0; `named`
    holds the column of requests where these have names.
    """

    ranked: np.ndarray
    offsets: np.ndarray
    relevant: np.ndarray
    named: dict[str, np.ndarray]


def as_lists(ranked: Any, relevant: Any, depth: int) -> Lists:
    """Read the arguments of `evaluate`, which looks at the first `depth` places of each list."""
    if is_frame(ranked) != is_frame(relevant):
        raise InputError("ranked and relevant must both be frames, or neither.")
    if is_frame(ranked):
        name, keys, ranked, offsets, relevant = arrays_of(ranked, relevant, depth)
        return Lists(ranked, *_as_sets(offsets, relevant), {name: keys})
    if relevant is None:
        return _from_hits(integers("rec.topk", ranked, ndim=2), depth)
    ranked = integers("ranked", ranked, ndim=2)
    offsets, relevant = segments("relevant", relevant)
    check_offsets("offsets", offsets, len(ranked), len(relevant))
    if relevant.min(initial=0) < 0:
        raise InputError("relevant must not hold negative ids; an unknown item is 0.")
    return Lists(ranked, *_as_sets(offsets, relevant), {})


def segments(name: str, parts: Any) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and ids, given as such or as a list with the ids of each request."""
    if isinstance(parts, tuple) and len(parts) == 2:
        return integers("offsets", parts[0]), integers(name, parts[1])
    if not isinstance(parts, list):
        raise InputError(f"{name} must be a tuple (offsets, ids) or a list of the ids of each request.")
    each = [integers(name, list(part) if isinstance(part, set | frozenset) else part) for part in parts]
    return np.cumsum([0, *map(len, each)]), np.concatenate([np.zeros(0, np.int64), *each])


def _from_hits(table: np.ndarray, depth: int) -> Lists:
    """RecBole's matrix: places take the part of ids, and what is relevant but not listed is unknown."""
    if not table.shape[1]:
        raise InputError("rec.topk must have a last column: the number of relevant items.")
    hits, sizes = table[:, :-1], table[:, -1]
    if not ((hits == 0) | (hits == 1)).all():
        raise InputError("rec.topk must hold 0 or 1 in every column but the last.")
    found = hits.sum(axis=1)
    if (found > sizes).any():
        wrong = int(np.argmax(found > sizes))
        raise InputError(f"rec.topk has {found[wrong]} hits in row {wrong}, of {sizes[wrong]} relevant items.")
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    relevant = np.zeros(offsets[-1], dtype=np.int64)
    row, place = np.nonzero(hits)
    listed_before = np.cumsum(found) - found
    relevant[(offsets[1:] - found - listed_before)[row] + np.arange(len(row))] = place + 1
    ranked = np.tile(np.arange(1, min(hits.shape[1], depth) + 1), (len(hits), 1))
    return Lists(ranked, offsets, relevant, {})


def _as_sets(offsets: np.ndarray, relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Same offsets and ids with those of each request ascending and distinct; each 0 stays."""
    if _are_sets(offsets, relevant):
        return offsets, relevant
    request = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    relevant = relevant[np.lexsort((relevant, request))]
    repeated = np.zeros(len(relevant), dtype=bool)
    repeated[1:] = (request[1:] == request[:-1]) & (np.diff(relevant) == 0) & (relevant[1:] > 0)
    return offsets - np.concatenate(([0], np.cumsum(repeated)))[offsets], relevant[~repeated]


@compiled
def _are_sets(offsets, relevant):  # type: ignore[no-untyped-def]
    for request in range(len(offsets) - 1):
        for i in range(offsets[request] + 1, offsets[request + 1]):
            if relevant[i] < relevant[i - 1] or (relevant[i] == relevant[i - 1] and relevant[i] > 0):
                return False
    return True
