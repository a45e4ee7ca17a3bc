"""Cross-entropy over the whole catalogue without ever holding the matrix of logits."""

import warnings
from collections.abc import Iterator
from functools import cache
from math import e, log2
from typing import Any

import torch
from torch import Tensor

from recsys.losses.base import Loss, Table, product_type, sum_type, whole

_TILE = {"cpu": (256, 1024)}  # 1 MiB of float32, which a core's cache holds from the product to the sum
_TILE_ELSEWHERE = (4096, 16_384)  # 256 MiB; an accelerator wants few, large tiles
_LOG2_E = log2(e)  # on a CPU, exp2 takes a third of the time of exp in torch 2.13


class FullSoftmax(Loss):
    """Softmax cross-entropy over every item but padding: mean over targets of logsumexp_j(v·e_j) − v·e_target.

    Equal to `F.cross_entropy(vectors @ table[1:].T, target - 1)` in value and gradient. Logits are computed tile by
    tile, and a second time in the backward pass (as in arXiv 2411.09009): 8/6 of the products, in the memory of one
    tile instead of `targets × items`. Of the table's gradient, each row is finished before the next is begun. On a GPU
    two kernels do all of it (`fused_softmax`), where Triton is installed and no tile is asked for.

    Args:
        tile: Targets and items whose logits are held at once (default: what suits the device).
    """

    def __init__(self, tile: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.tile = tile

    def reads_all(self, n_items: int, device: str) -> bool:
        """As every `Loss`."""
        return True

    def forward(self, vectors: Tensor, table: Table, target: Tensor) -> Tensor:
        """As every `Loss`."""
        table = whole(table)
        dtype = product_type(vectors, table)
        if not len(target):
            return 0.0 * (vectors.sum() + table.sum())
        precision = torch.get_float32_matmul_precision()
        fused = None if self.tile else _fused(vectors.device, dtype, table.shape[1], precision)
        if fused is not None:
            return fused.apply(vectors, table, target, dtype)
        tile = self.tile or _TILE.get(vectors.device.type, _TILE_ELSEWHERE)
        loss: Tensor = _TiledCrossEntropy.apply(vectors, table, target, dtype, tile)
        return loss


@cache
def _fused(device: torch.device, dtype: torch.dtype, dim: int, _precision: str) -> Any:
    """`FusedCrossEntropy` where its kernels compile and run, which every precision's do apart; else None, said once."""
    if device.type != "cuda" or dtype == torch.float64 or dim > 128:
        return None
    try:
        from recsys.losses.fused_softmax import FusedCrossEntropy

        with torch.enable_grad():
            ones = torch.ones(2, dim, device=device, requires_grad=True)
            FusedCrossEntropy.apply(ones, ones, torch.ones(2, dtype=torch.int64, device=device), dtype).backward()
    except Exception as error:  # no Triton, no compiler of C, an older card: whatever it is, tiles do without
        warnings.warn(f"FullSoftmax goes without its Triton kernels, several times slower: {error}", stacklevel=3)
        return None
    return FusedCrossEntropy


class _TiledCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, table: Tensor, target: Tensor, dtype: torch.dtype, tile: tuple[int, int]
    ) -> Tensor:
        rows, exact = vectors.to(dtype), sum_type(dtype)
        top = rows.new_full((len(rows),), -torch.inf, dtype=exact)  # largest logit so far, to base 2
        total = torch.zeros_like(top)  # of exponentials relative to that: thousands of logaddexp would lose digits
        for _, some, part, block in _tiles(rows, table, tile):
            logits = (part @ block.T).to(exact)
            before, top[some] = top[some].clone(), torch.maximum(top[some], logits.amax(0) * _LOG2_E)
            exponentials = torch.add(-top[some], logits, alpha=_LOG2_E, out=logits).exp2_()
            total[some] = total[some] * (before - top[some]).exp2_() + exponentials.sum(0)
        normalizer = top + total.log2_()
        ctx.save_for_backward(vectors, table, target, normalizer)
        ctx.dtype, ctx.tile = dtype, tile
        return (normalizer / _LOG2_E - (rows.to(exact) * table[target].to(dtype)).sum(1)).mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        vectors, table, target, normalizer = ctx.saved_tensors
        rows, scale = vectors.to(ctx.dtype), gradients[0] / len(vectors)
        scaled = rows * scale.to(ctx.dtype)
        d_vectors = torch.zeros_like(rows, dtype=normalizer.dtype)
        d_table = torch.empty_like(table) if ctx.needs_input_grad[1] else None
        for items, some, part, block in _tiles(rows, table, ctx.tile):
            logits = (part @ block.T).to(normalizer.dtype)
            probability = torch.add(-normalizer[some], logits, alpha=_LOG2_E, out=logits).exp2_().to(ctx.dtype)
            _add_product(d_vectors[some], probability.T, part)
            if d_table is not None:
                if some.start == 0:
                    d_table[items] = 0
                _add_product(d_table[items], probability, scaled[some])
        d_vectors -= table[target].to(ctx.dtype)
        if d_table is not None:
            d_table[0] = 0
            d_table.index_add_(0, target, scaled.to(table.dtype), alpha=-1)
        return (d_vectors * scale).to(vectors.dtype), d_table, None, None, None


def _tiles(rows: Tensor, table: Tensor, tile: tuple[int, int]) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """Items, targets, and their rows in one type; all targets with the same items before the next items."""
    for first in range(1, len(table), tile[1]):
        items = slice(first, first + tile[1])
        part = table[items].to(rows.dtype)
        for start in range(0, len(rows), tile[0]):
            some = slice(start, start + tile[0])
            yield items, some, part, rows[some]


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
