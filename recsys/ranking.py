"""From vectors to ranked items: the best of a whole catalogue, or a given list of candidates put in order."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from recsys.errors import InputError

_CHUNK = 16_384  # items in a tile of scores
_BLOCK = {"cpu": 256}  # requests in a tile: 16 MiB; above 32, glibc maps fresh pages for each and halves the speed
_BLOCK_ELSEWHERE = 4096  # 256 MiB; an accelerator wants few, large tiles
_GROUP = 32  # neighbouring items that are represented by their best score
_LOW = 0xFFFFFFFF  # lower half of a key
_FLIP = 0x7FFFFFFF  # all bits of a float32 but its sign


@torch.no_grad()
def top_k(
    vectors: Tensor,
    table: Tensor | None,
    k: int,
    exclude: tuple[Tensor, Tensor] | None = None,
    chunk: int = _CHUNK,
) -> tuple[Tensor, Tensor]:
    """Return ids `[requests, k]` int64 and scores `[requests, k]` float32 of the k items with the largest dot product.

    Exact, in the memory of one tile of scores: 256 requests x `chunk`, or 4,096 x `chunk` on an accelerator. Higher
    scores come first; of equal scores the smaller id, inside the list and at its end alike, whatever the chunk. (A
    matrix product may round differently in tiles of another size: equal scores are treated equally, not nearly equal
    ones.) Row 0 of the table is padding and never returned, nor is an excluded item or one whose score is -inf; where
    fewer than k items are left, the rest is id 0 with score -inf. Scores are float32 whatever the dtype of the
    arguments, also under autocast, and no factor is rounded to TF32.

    Args:
        vectors: `[requests, dim]`, or the scores `[requests, items]` themselves when there is no table.
        table: `[items, dim]` on the same device.
        k: length of the lists.
        exclude: `(offsets [requests + 1], ids [n])`; `ids[offsets[i]:offsets[i + 1]]` are never returned to request i.
            Order and repetition do not matter, 0 and ids outside the table are ignored.
        chunk: items to score at a time.
    """
    _check_vectors(vectors, table)
    if k < 1 or chunk < 1:
        raise InputError(f"k and chunk must be at least 1, not {k} and {chunk}.")
    device = vectors.device
    if exclude is None:
        exclude = torch.zeros(len(vectors) + 1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    offsets, seen = (_integers(part).to(device) for part in exclude)
    bounds = _checked(offsets, len(vectors), len(seen)).tolist()
    width, block = -(-chunk // _GROUP) * _GROUP, _BLOCK.get(device.type, _BLOCK_ELSEWHERE)
    best = torch.empty(len(vectors), k, dtype=torch.int64, device=device)
    with torch.autocast(device.type, enabled=False), _unrounded():
        for start in range(0, len(vectors), block):
            stop = min(start + block, len(vectors))
            rows = torch.repeat_interleave(offsets[start : stop + 1].diff())
            ids = seen[bounds[start] : bounds[stop]]
            best[start:stop] = _best_keys(vectors[start:stop].float(), table, k, rows, ids, width)
    return _unpacked(best)


@contextmanager
def _unrounded() -> Iterator[None]:
    """Products of float32 as they are, whatever training allows: of TF32 factors, scores near 10 are off by 0.01."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _best_keys(vectors: Tensor, table: Tensor | None, k: int, rows: Tensor, seen: Tensor, width: int) -> Tensor:
    """Keys `[requests, k]` of the best items, descending; pairs of `rows` and `seen` are excluded."""
    seen, by_id = seen.sort()
    rows = rows[by_id]
    items = _count(vectors, table)
    starts = torch.arange(0, items + width, width, device=seen.device).clamp(max=items)
    cuts = torch.searchsorted(seen, starts).tolist()
    # Of all that scores -inf, id 0 comes first: what is excluded can never take the place of this padding.
    best = _keys(vectors.new_full((len(vectors), k), -torch.inf), torch.zeros_like(starts[:1]))
    for i, start in enumerate(range(0, items, width)):
        stop = start + width
        scores = vectors[:, start:stop].clone() if table is None else vectors @ table[start:stop].float().T
        scores[rows[cuts[i] : cuts[i + 1]], seen[cuts[i] : cuts[i + 1]] - start] = -torch.inf
        if start == 0:
            scores[:, 0] = -torch.inf
        best = _merged(best, scores, start)
    return best


def _merged(best: Tensor, scores: Tensor, start: int) -> Tensor:
    """Merge the scores `[requests, width]` of the items from `start` on into the best keys `[requests, k]`.

    A group of neighbours is looked into only if its best score is among the k best of all groups and beats the worst
    of `best`. That loses nothing: a group that is passed over has k groups before it, each with an item that has a
    higher score than all of its own, or the same and a smaller id.
    """
    k = best.shape[1]
    scores = torch.nn.functional.pad(scores, (0, -scores.shape[1] % _GROUP), value=-torch.inf)
    groups = scores.view(len(scores), -1, _GROUP)
    tops = groups.amax(dim=2)
    if tops.isnan().any():
        raise InputError("Some scores are not a number: the vectors or the table hold nan or infinite values.")
    firsts = start + torch.arange(0, scores.shape[1], _GROUP, device=scores.device)
    keys = _keys(tops, firsts)
    needed = min(k, int((keys > best[:, -1:]).sum(dim=1).max()))
    if needed == 0:
        return best
    chosen = keys.topk(needed, dim=1, sorted=False).indices
    requests = torch.arange(len(scores), device=scores.device)[:, None]
    ids = firsts[chosen][:, :, None] + torch.arange(_GROUP, device=scores.device)
    fresh = _keys(groups[requests, chosen], ids).flatten(1)
    return torch.cat([best, fresh], dim=1).topk(k, dim=1).values


def _keys(scores: Tensor, ids: Tensor) -> Tensor:
    """Pack score and id into one int64 that is larger for a higher score and, of equal scores, for a smaller id."""
    bits = (scores + 0.0).view(torch.int32).to(torch.int64)  # -0.0 + 0.0 is 0.0: two zeros would be two scores
    return (torch.where(bits < 0, bits ^ _FLIP, bits) << 32) + (_LOW - ids)


def _unpacked(keys: Tensor) -> tuple[Tensor, Tensor]:
    bits = keys >> 32
    return _LOW - (keys & _LOW), torch.where(bits < 0, bits ^ _FLIP, bits).to(torch.int32).view(torch.float32)


@torch.no_grad()
def rank_candidates(
    vectors: Tensor,
    table: Tensor | None,
    offsets: Tensor | np.ndarray,
    candidates: Tensor | np.ndarray,
    seed: int = 0,
    positions: np.ndarray | None = None,
) -> np.ndarray:
    """Return order `[n]` int64: the positions in `candidates`, request by request, each request's in rank order.

    `order[offsets[i]:offsets[i + 1]]` is a permutation of `offsets[i] … offsets[i + 1] - 1`. Higher dot products come
    first. Candidate 0 is an item that the model does not know and comes after all that it knows. Ties (all unknown
    items, and equal scores) are in random order, so that the expected metrics are those of an order drawn at random:
    logged lists tend to show clicked items first, and keeping that order would give a model credit for it.

    The random order is a hash of (seed, position): the same for every model, hence paired, and the same in any split
    into batches if `positions` tells where in the whole list each candidate of this batch stands.

    Args:
        vectors: `[requests, dim]`, or the scores `[requests, items]` themselves when there is no table.
        table: `[items, dim]` on the same device; row 0 is padding.
        offsets: `[requests + 1]`; `candidates[offsets[i]:offsets[i + 1]]` belong to request i.
        candidates: integer ids `[n]`, 0 where unknown.
        seed: of the order of ties.
        positions: `[n]` of the candidates in the whole, 0 … n - 1 when None.
    """
    _check_vectors(vectors, table)
    items = _integers(candidates)
    limits = _checked(_integers(offsets), len(vectors), len(items))
    known = _count(vectors, table)
    if len(items) and not 0 <= int(items.min()) <= int(items.max()) < known:
        raise InputError(f"Candidates must be ids from 0 to {known - 1}, the rows of the table.")
    requests = torch.repeat_interleave(limits.diff())
    scores = np.empty(len(items), dtype=np.float32)
    for start in range(0, len(items), _CHUNK):
        part = slice(start, start + _CHUNK)
        row, item = requests[part].to(vectors.device), items[part].to(vectors.device)
        found = vectors[row, item] if table is None else (vectors[row].float() * table[item].float()).sum(dim=1)
        scores[part] = found.float().cpu().numpy()
    unknown = items.numpy() == 0
    if np.isnan(scores[~unknown]).any():
        raise InputError("Some scores are not a number: the vectors or the table hold nan or infinite values.")
    lot = _lots(seed, np.arange(len(items)) if positions is None else positions)
    return np.lexsort((lot, np.where(unknown, 0, -scores), unknown, requests.numpy()))


def pad_ranked(offsets: Tensor | np.ndarray, order: np.ndarray, depth: int) -> np.ndarray:
    """Return `[requests, depth]` int64: the order of `rank_candidates` as lists of position + 1, padded with 0.

    With relevant positions + 1 beside it, `metrics.evaluate` compares positions: exact also for unknown candidates,
    which all have id 0.
    """
    if depth < 1:
        raise InputError(f"depth must be at least 1, not {depth}.")
    limits = _checked(_integers(offsets), len(offsets) - 1, len(order)).numpy()
    places = limits[:-1, None] + np.arange(depth)
    filled = places < limits[1:, None]
    ranked = np.zeros(places.shape, dtype=np.int64)
    ranked[filled] = order[places[filled]] + 1
    return ranked


def _lots(seed: int, positions: np.ndarray) -> np.ndarray:
    """Random uint64 of each position: splitmix64 (Steele, Lea & Flood 2014) of (seed, position)."""
    stream = _mixed(np.array([seed % 2**64], dtype=np.uint64))
    return _mixed(stream + (positions + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def _mixed(bits: np.ndarray) -> np.ndarray:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits


def _integers(values: Tensor | np.ndarray) -> Tensor:
    """Return `values` as int64 on the CPU."""
    array = torch.tensor(values) if isinstance(values, np.ndarray) else values
    if array.numel() and (array.is_floating_point() or array.dtype == torch.bool):
        raise InputError(f"Ids and offsets must be integers, not {array.dtype}.")
    return array.detach().cpu().to(torch.int64)


def _checked(offsets: Tensor, requests: int, ids: int) -> Tensor:
    if offsets.shape != (requests + 1,):
        raise InputError(
            f"offsets must hold {requests + 1} numbers for {requests} requests, not {list(offsets.shape)}."
        )
    if int(offsets[0]) != 0 or int(offsets[-1]) != ids or bool((offsets.diff() < 0).any()):
        raise InputError(f"offsets must ascend from 0 to {ids}, the number of ids.")
    return offsets


def _count(vectors: Tensor, table: Tensor | None) -> int:
    return vectors.shape[1] if table is None else len(table)


def _check_vectors(vectors: Tensor, table: Tensor | None) -> None:
    if table is None:
        if vectors.ndim != 2:
            raise InputError(f"scores must be [requests, items], not {list(vectors.shape)}.")
    elif vectors.ndim != 2 or table.ndim != 2 or vectors.shape[1] != table.shape[1]:
        raise InputError(
            "vectors [requests, dim] and table [items, dim] must agree in dim, "
            f"not {list(vectors.shape)} and {list(table.shape)}."
        )
