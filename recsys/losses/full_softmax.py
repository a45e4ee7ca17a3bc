"""Cross-entropy over the whole catalogue without ever holding the matrix of logits."""

import warnings
from collections.abc import Iterator
from functools import cache
from math import e, log2
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recsys.losses.base import Loss, Table, product_type, sum_type, whole

_LOG2_E = log2(e)  # on a CPU, exp2 takes a third of the time of exp in torch 2.13


class FullSoftmax(Loss):
    """Softmax cross-entropy over every item but padding: mean over targets of logsumexp_j(v·e_j) − v·e_target.

    Equal to `F.cross_entropy(vectors @ table[1:].T, target - 1)` in value and gradient. Logits are computed tile by
    tile, in the memory of one instead of `targets × items`. The backward pass needs their exponentials again: those of
    the first items wait in the memory of the table's gradient, for which there would be no other use so far, and the
    others are computed a second time (as in arXiv 2411.09009): at most 8/6 of the products. Of the table's gradient,
    each row is finished before the next is begun. On a GPU two kernels do all of it (`fused_softmax`), where Triton is
    installed and no tile is asked for.

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
        tile = self.tile or _tile(vectors.device.type, dtype)
        training = torch.is_grad_enabled() and table.requires_grad
        loss: Tensor = _TiledCrossEntropy.apply(vectors, table, target, dtype, tile, training)
        return loss


def _tile(device: str, dtype: torch.dtype) -> tuple[int, int]:
    if device == "cpu":
        return 256, 4096 // dtype.itemsize  # 1 MiB, which a core's cache holds from the product to the sum
    return 4096, 16_384  # an accelerator wants few, large tiles


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
        ctx: Any,
        vectors: Tensor,
        table: Tensor,
        target: Tensor,
        dtype: torch.dtype,
        tile: tuple[int, int],
        training: bool,
    ) -> Tensor:
        rows, exact = vectors.to(dtype), sum_type(dtype)
        shift = rows.new_full((len(rows),), torch.inf, dtype=exact)  # what is added to logits to base 2
        total = torch.zeros_like(shift)  # of exponentials so shifted: thousands of logaddexp would lose digits
        limit = torch.finfo(exact).max ** 0.75  # of a tile's exponentials, that none of the totals overflows
        ctx.d_table = _like(table) if training else None
        kept, ctx.since = _kept(ctx.d_table, rows, tile), 0
        for at in _tiles(rows, table, tile, kept):
            some = at.some
            sums = at.powers(shift[some]).sum(0) if at.block else None
            if sums is None or not sums.max() < limit:  # so far, the logits' size is unknown or was far too small
                logits = at.logits(torch.zeros_like(shift[some]))
                lower = torch.minimum(shift[some], -logits.amax(0))
                total[some] *= (lower - shift[some]).exp2_()
                shift[some], ctx.since = lower, at.block
                sums = logits.add_(lower).exp2_().sum(0)
            total[some] += sums
            if at.block < len(kept):
                at.round()
        shift -= total.log2()
        ctx.save_for_backward(vectors, table, target, shift, total)
        ctx.dtype, ctx.tile = dtype, tile
        return (-shift / _LOG2_E - (rows.to(exact) * table[target].to(dtype)).sum(1)).mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        vectors, table, target, shift, total = ctx.saved_tensors
        rows, scale = vectors.to(ctx.dtype), gradients[0] / len(vectors)
        scaled = rows * scale.to(ctx.dtype)
        kept, d_table = _kept(ctx.d_table, rows, ctx.tile), ctx.d_table
        ctx.d_table = None  # it is given away: a second backward pass, of a graph that was retained, has nothing kept
        if d_table is None and ctx.needs_input_grad[1]:
            d_table = _like(table)
        # The first is of probabilities, the second of the exponentials kept, which are `total` times as large.
        weights = torch.stack([scaled, (scaled / total[:, None]).to(ctx.dtype)])
        d_vectors = rows.new_zeros(2, *rows.T.shape, dtype=shift.dtype)
        for at in _tiles(rows, table, ctx.tile, kept):
            known = int(ctx.since <= at.block < len(kept))
            if not known:
                at.powers(shift[at.some])
                at.round()
            _product(at.part.T, at.scores, d_vectors[known][:, at.some])
            if d_table is not None:
                _product(at.scores, weights[known][at.some], d_table[at.items], anew=at.some.start == 0)
        difference = (d_vectors[0] + d_vectors[1] / total).T - table[target].to(ctx.dtype)
        if d_table is not None:
            d_table[0] = 0
            d_table.index_add_(0, target, scaled.to(table.dtype), alpha=-1)
        return (difference * scale).to(vectors.dtype), d_table, None, None, None, None


class _Tile(NamedTuple):
    """Some targets with a block of items, and memory for `[items, targets]`: scores to multiply, scores to add up."""

    block: int
    items: slice
    some: slice
    part: Tensor
    rows: Tensor
    scores: Tensor
    exact: Tensor  # the same memory where sums are of the products' type

    def logits(self, shift: Tensor) -> Tensor:
        """Logits to base 2, and `shift` added to them, in `exact`."""
        if self.scores is self.exact:
            return torch.addmm(shift, self.part, self.rows.T, alpha=_LOG2_E, out=self.exact)
        torch.mm(self.part, self.rows.T, out=self.scores)
        return torch.add(shift, self.scores, alpha=_LOG2_E, out=self.exact)

    def powers(self, shift: Tensor) -> Tensor:
        """2 to the power of them."""
        return self.logits(shift).exp2_()

    def round(self) -> None:
        """Bring `exact` into `scores`."""
        if self.scores is not self.exact:
            self.scores.copy_(self.exact)


def _tiles(rows: Tensor, table: Tensor, tile: tuple[int, int], kept: Tensor) -> Iterator[_Tile]:
    """All targets with the first items before any with the next; the first blocks' scores lie in `kept`."""
    memory = rows.new_empty(min(tile[0], len(rows)) * min(tile[1], len(table)))
    wide = memory if (exact := sum_type(rows.dtype)) == rows.dtype else torch.empty_like(memory, dtype=exact)
    narrow = rows.new_empty(min(tile[1], len(table)), table.shape[1]) if rows.dtype != table.dtype else None
    for block, first in enumerate(range(1, len(table), tile[1])):
        items = slice(first, first + tile[1])
        part = table[items] if narrow is None else narrow[: len(table) - first].copy_(table[items])
        for start in range(0, len(rows), tile[0]):
            some = slice(start, start + tile[0])
            shape = len(part), len(rows[some])
            size, before = shape[0] * shape[1], shape[0] * start
            scores = (kept[block, before : before + size] if block < len(kept) else memory[:size]).view(shape)
            yield _Tile(
                block, items, some, part, rows[some], scores, scores if wide is memory else wide[:size].view(shape)
            )


def _like(table: Tensor) -> Tensor:
    return torch.empty_like(table, memory_format=torch.contiguous_format)


def _kept(d_table: Tensor | None, rows: Tensor, tile: tuple[int, int]) -> Tensor:
    """Memory for the scores of the first blocks of items, `[blocks, items × targets]`, at the end of the gradient's.

    There are so many that the gradient, written block by block from the start, never comes to scores not yet read.
    """
    if d_table is None or d_table.itemsize < rows.itemsize or rows.dtype == torch.float16:  # exponentials are too large
        return rows.new_empty(0, 0)
    memory = d_table[1:].view(-1).view(rows.dtype)
    written, size = (min(tile[1], len(d_table)) * n for n in (len(memory) // (len(d_table) - 1), len(rows)))
    blocks = max(0, min((len(memory) - written) // size, (len(memory) - size) // written))
    return memory[len(memory) - blocks * size :].view(blocks, size)


def _product(left: Tensor, right: Tensor, total: Tensor, anew: bool = False) -> None:
    """Add the product of two matrices to `total`, or begin it `anew`."""
    if total.dtype == left.dtype:
        torch.addmm(total, left, right, beta=0 if anew else 1, out=total)
    elif anew:
        total.copy_(left @ right)
    else:
        total += left @ right
