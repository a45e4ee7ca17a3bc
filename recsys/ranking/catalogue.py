"""The best of the whole catalogue, exactly, in the memory of a few tiles of scores."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from recsys.ranking import heaps, keys
from recsys.ranking.arguments import at_least_one, excluded, scored


@torch.no_grad()
def top_k(
    vectors: Tensor,
    table: Tensor | None,
    k: int,
    exclude: tuple[Tensor, Tensor] | tuple[np.ndarray, np.ndarray] | None = None,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Return ids `[requests, k]` int64 and scores `[requests, k]` float32 of the k items with the largest dot product.

    Exact, and no matrix of scores or of seen items is ever built: 2 MiB for each thread on a CPU, 4 GB on an
    accelerator. Higher scores come first; of equal scores the smaller id, inside the list and at its end alike,
    whatever the chunk, the device and the number of threads. (A matrix product may round differently in tiles of
    another size: equal scores are treated equally, not nearly equal ones.) Row 0 of the table is padding and never
    returned, nor is an excluded item or one whose score is -inf; where fewer than k items are left, also because the
    catalogue is smaller, the rest is id 0 with score -inf. Scores are float32, and are computed in it, whatever the
    dtype of the arguments, also under autocast and where TensorFloat-32 is allowed.

    Args:
        vectors: `[requests, dim]`, or the scores `[requests, items]` themselves when there is no table.
        table: `[items, dim]` on the same device.
        k: length of the lists.
        exclude: `(offsets [requests + 1], ids [n])`; `ids[offsets[i]:offsets[i + 1]]` are never returned to request i.
            Order and repetition do not matter, 0 and ids outside the table are ignored.
        chunk: items to score at a time, where the default is not wanted.

    Raises:
        InputError: a score is nan; shapes, offsets, k or chunk that cannot be.
    """
    scored(vectors, table)
    at_least_one(k=k, chunk=1 if chunk is None else chunk)
    offsets, seen = excluded(exclude, len(vectors))
    way = heaps if vectors.device.type == "cpu" else keys
    with torch.autocast(vectors.device.type, enabled=False), _full_precision():
        return way.best(vectors.detach(), None if table is None else table.detach(), k, offsets, seen, chunk)


@contextmanager
def _full_precision() -> Iterator[None]:
    """float32 products in float32: in TensorFloat-32, ten bits of a score would be left."""
    before = torch.get_float32_matmul_precision()
    if before != "highest":
        torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        if before != "highest":
            torch.set_float32_matmul_precision(before)
