"""The way of an accelerator: large tiles, and a running best of keys in which score and id are one number.

`torch.topk` does not say which of equal scores it takes. Keys are never equal, so that it has nothing to choose.
"""

import torch
from torch import Tensor

from recsys.errors import InputError
from recsys.ranking.arguments import NOT_A_NUMBER, scored

_CHUNK, _BLOCK = 65_536, 4096  # items and requests of a tile: 1 GiB; an accelerator wants few, large ones
_GROUP = 64  # neighbouring items that are represented by their best score
_LOW = 0xFFFFFFFF  # lower half of a key
_FLIP = 0x7FFFFFFF  # all bits of a float32 but its sign


def best(
    vectors: Tensor, table: Tensor | None, k: int, offsets: Tensor, seen: Tensor, chunk: int | None
) -> tuple[Tensor, Tensor]:
    """`top_k` of checked arguments; `vectors` and `table` on one device, `offsets` and `seen` on the CPU."""
    width = -(-(chunk or _CHUNK) // _GROUP) * _GROUP
    bounds = offsets.tolist()
    found = torch.empty(len(vectors), k, dtype=torch.int64, device=vectors.device)
    for start in range(0, len(vectors), _BLOCK):
        stop = min(start + _BLOCK, len(vectors))
        rows = torch.repeat_interleave(offsets[start : stop + 1].diff())
        ids = seen[bounds[start] : bounds[stop]]
        found[start:stop] = _best_keys(vectors[start:stop].float(), table, k, rows, ids, width)
    return unpacked(found)


def _best_keys(vectors: Tensor, table: Tensor | None, k: int, rows: Tensor, seen: Tensor, width: int) -> Tensor:
    """Keys `[requests, k]` of the best items, descending; pairs of `rows` and `seen` are excluded."""
    items, device = scored(vectors, table), vectors.device
    seen, by_id = seen.sort()
    starts = torch.arange(0, items + width, width).clamp(max=items)
    cuts = torch.searchsorted(seen, starts).tolist()
    rows, seen = rows[by_id].to(device), seen.to(device)
    # Of all that scores -inf, id 0 comes first: what is excluded can never take the place of this padding.
    best = packed(vectors.new_full((len(vectors), k), -torch.inf), torch.zeros(1, dtype=torch.int64, device=device))
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
        raise InputError(NOT_A_NUMBER)
    firsts = start + torch.arange(0, scores.shape[1], _GROUP, device=scores.device)
    keys = packed(tops, firsts)
    needed = min(k, int((keys > best[:, -1:]).sum(dim=1).max()))
    if needed == 0:
        return best
    chosen = keys.topk(needed, dim=1, sorted=False).indices
    requests = torch.arange(len(scores), device=scores.device)[:, None]
    ids = firsts[chosen][:, :, None] + torch.arange(_GROUP, device=scores.device)
    fresh = packed(groups[requests, chosen], ids).flatten(1)
    return torch.cat([best, fresh], dim=1).topk(k, dim=1).values


def packed(scores: Tensor, ids: Tensor) -> Tensor:
    """Pack score and id into one int64 that is larger for a higher score and, of equal scores, for a smaller id."""
    bits = (scores + 0.0).view(torch.int32).to(torch.int64)  # -0.0 + 0.0 is 0.0: two zeros would be two scores
    return (torch.where(bits < 0, bits ^ _FLIP, bits) << 32) + (_LOW - ids)


def unpacked(keys: Tensor) -> tuple[Tensor, Tensor]:
    """The ids and scores of keys."""
    bits = keys >> 32
    return _LOW - (keys & _LOW), torch.where(bits < 0, bits ^ _FLIP, bits).to(torch.int32).view(torch.float32)
