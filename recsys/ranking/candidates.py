"""Given candidates, put in the order of their scores."""

import numpy as np
import torch
from torch import Tensor

from recsys.errors import InputError
from recsys.ranking.arguments import NOT_A_NUMBER, at_least_one, integers, scored, segments

_AT_ONCE = 16_384  # candidates whose vectors are gathered


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
    items, and equal scores) are in random order, as `rank_scores` has it.

    Args:
        vectors: `[requests, dim]`, or the scores `[requests, items]` themselves when there is no table.
        table: `[items, dim]` on the same device; row 0 is padding.
        offsets: `[requests + 1]`; `candidates[offsets[i]:offsets[i + 1]]` belong to request i.
        candidates: integer ids `[n]`, 0 where unknown.
        seed: of the order of ties.
        positions: `[n]` of the candidates in the whole, 0 … n - 1 when None.

    Raises:
        InputError: the score of a known candidate is nan; ids outside the table; shapes that cannot be.
    """
    known = scored(vectors, table)
    items = integers(candidates)
    limits = segments(offsets, len(vectors), len(items))
    if len(items) and not 0 <= int(items.min()) <= int(items.max()) < known:
        raise InputError(f"Candidates must be ids from 0 to {known - 1}, the rows of the table.")
    requests = torch.repeat_interleave(limits.diff())
    scores = np.empty(len(items), dtype=np.float32)
    for start in range(0, len(items), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        row, item = requests[part].to(vectors.device), items[part].to(vectors.device)
        found = vectors[row, item] if table is None else (vectors[row].float() * table[item].float()).sum(dim=1)
        scores[part] = found.float().cpu().numpy()
    return rank_scores(limits.numpy(), scores, items.numpy() == 0, seed, positions)


def rank_scores(
    offsets: np.ndarray,
    scores: np.ndarray,
    last: np.ndarray | None = None,
    seed: int = 0,
    positions: np.ndarray | None = None,
) -> np.ndarray:
    """Return order `[n]` int64, as of `rank_candidates`, by the scores `[n]` that the candidates have already.

    Ties are in random order, so that the expected metrics are those of an order drawn at random: logged lists tend to
    show clicked items first, and keeping that order would give a model credit for it. The random order is a hash of
    (seed, position): the same for every model, hence paired, and the same in any split into batches if `positions`
    tells where in the whole list each candidate of this batch stands.

    Args:
        offsets: `[requests + 1]`; `scores[offsets[i]:offsets[i + 1]]` belong to request i.
        scores: numbers `[n]`, higher is better.
        last: bool `[n]`, candidates that come after all others whatever their score; none when None.
        seed: of the order of ties.
        positions: `[n]` of the candidates in the whole, 0 … n - 1 when None.

    Raises:
        InputError: a score that counts is nan; offsets that cannot be.
    """
    limits = segments(offsets, len(offsets) - 1, len(scores)).numpy()
    last = np.zeros(len(scores), bool) if last is None else last
    if np.isnan(scores[~last]).any():
        raise InputError(NOT_A_NUMBER)
    lot = _lots(seed, np.arange(len(scores)) if positions is None else positions)
    request = np.repeat(np.arange(len(limits) - 1), np.diff(limits))
    return np.lexsort((lot, np.where(last, 0, -scores), last, request))


def pad_ranked(offsets: Tensor | np.ndarray, order: np.ndarray, depth: int) -> np.ndarray:
    """Return `[requests, depth]` int64: the order of `rank_candidates` as lists of position + 1, padded with 0.

    With relevant positions + 1 beside it, `metrics.evaluate` compares positions: exact also for unknown candidates,
    which all have id 0.
    """
    at_least_one(depth=depth)
    limits = segments(offsets, len(offsets) - 1, len(order)).numpy()
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
