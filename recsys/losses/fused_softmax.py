"""Cross-entropy over the whole catalogue in two Triton kernels: on a GPU, logits never leave the multiprocessors.

The gradient of a target's vector is the mean of the item vectors by probability, less the target's own: attention with
the table for keys and for values. The forward pass takes it along as FlashAttention does (arXiv 2205.14135), so that
only the table's gradient needs the logits a second time: 8/6 of the products, as of the tiles in `full_softmax`.
"""

from math import e, log2
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_LOG2_E = log2(e)
_PROGRAMS = 528  # of the forward pass, about: four for each multiprocessor of an H100
_HELD, _READ = 128, 64  # targets or items whose sums a program holds, and those that it reads at a time


class FusedCrossEntropy(torch.autograd.Function):
    """As `FullSoftmax`, of vectors and table of at most 128 columns, with products of at most 32 bits."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, table: Tensor, target: Tensor, dtype: torch.dtype) -> Tensor:
        """The mean loss, of products of `dtype`."""
        rows, table = vectors.to(dtype).contiguous(), table.contiguous()
        normalizer, mean = normalize(rows, table)
        ctx.save_for_backward(rows, table, target, normalizer, mean)
        ctx.dtype = vectors.dtype
        return (normalizer / _LOG2_E - (rows.float() * table[target].to(dtype)).sum(1)).mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        """Gradients of vectors and, unless it is frozen, table."""
        rows, table, target, normalizer, mean = ctx.saved_tensors
        scale = gradients[0] / len(rows)
        d_vectors, d_table = (mean - table[target].to(rows.dtype)) * scale, None
        if ctx.needs_input_grad[1]:
            d_table = table_gradient(rows, table, normalizer, scale)
            d_table.index_add_(0, target, (rows * scale).to(table.dtype), alpha=-1)
        return d_vectors.to(ctx.dtype), d_table, None, None


@torch.library.custom_op("recsys::normalize", mutates_args=())
def normalize(rows: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Log-sum of exponentials to base 2 over all items but padding `[targets]`, and mean item `[targets, dim]`."""
    (targets, dim), items = rows.shape, len(table) - 1
    blocks, tiles = triton.cdiv(targets, _HELD), triton.cdiv(items, _READ)
    run = triton.cdiv(tiles, max(1, min(tiles, _PROGRAMS // blocks)))  # tiles of items that one program goes through
    parts = triton.cdiv(tiles, run)
    top = rows.new_empty((parts, targets), dtype=torch.float32)
    total, sums = torch.empty_like(top), rows.new_empty((parts, targets, dim), dtype=torch.float32)
    _normalize[(blocks, parts)](rows, table[1:], top, total, sums, targets, items, run, _LOG2_E, **_shape(dim))
    highest = top.amax(0)
    share = (top - highest).exp2_()
    whole = (share * total).sum(0)
    return highest + whole.log2(), (share[..., None] * sums).sum(0) / whole[:, None]


@torch.library.custom_op("recsys::table_gradient", mutates_args=())
def table_gradient(rows: Tensor, table: Tensor, normalizer: Tensor, scale: Tensor) -> Tensor:
    """Gradient `[items, dim]` of `scale` times the sum of the targets' log-sums of exponentials."""
    (targets, dim), items = rows.shape, len(table) - 1
    gradient = torch.empty_like(table)
    gradient[0] = 0
    grid = (triton.cdiv(items, _HELD),)
    _table_gradient[grid](rows, table[1:], normalizer, scale, gradient[1:], targets, items, _LOG2_E, **_shape(dim))
    return gradient


def _shape(dim: int) -> dict[str, Any]:
    """What kernels are compiled for; with three products of TF32 for one where float32 is asked for."""
    width = max(16, triton.next_power_of_2(dim))  # the least that tensor cores multiply
    precision = "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"
    size = {"DIM": dim, "WIDTH": width, "PRECISION": precision, "HELD": _HELD, "READ": _READ}
    stages = 1 if width > 64 and precision == "tf32x3" else 3  # more do not fit into an H100's shared memory
    return {**size, "num_warps": 4 if width <= 64 else 8, "num_stages": stages}


@triton.jit
def _nearest(factor, PRECISION: tl.constexpr):  # type: ignore[no-untyped-def]
    """Half of TF32's last bit is added, since tensor cores cut off; without that the loss is too small by 0.003."""
    if PRECISION == "tf32" and factor.dtype == tl.float32:
        raised = (factor.to(tl.int32, bitcast=True) + 0x1000).to(tl.float32, bitcast=True)
        factor = tl.where(factor == factor, raised, factor)  # the bits of nan would become a number's
    return factor


@triton.jit
def _normalize(  # type: ignore[no-untyped-def]
    rows, table, top, total, sums, targets, items, run, log2_e,
    DIM: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr, HELD: tl.constexpr, READ: tl.constexpr,
):  # fmt: skip
    """Of a block of targets, what one run of tiles of items adds: largest logit, exponentials and weighted items."""
    target = tl.program_id(0) * HELD + tl.arange(0, HELD)
    column = tl.arange(0, WIDTH)
    held = (target < targets)[:, None] & (column < DIM)[None, :]
    vector = _nearest(tl.load(rows + target[:, None] * DIM + column[None, :], held, 0.0), PRECISION)
    best = tl.full([HELD], float("-inf"), tl.float32)
    count = tl.zeros([HELD], tl.float32)
    summed = tl.zeros([HELD, WIDTH], tl.float32)
    first = tl.program_id(1) * run * READ
    for start in range(first, min(first + run * READ, items), READ):
        item = start + tl.arange(0, READ)
        there = (item < items)[:, None] & (column < DIM)[None, :]
        block = tl.load(table + item.to(tl.int64)[:, None] * DIM + column[None, :], there, 0.0)
        block = _nearest(block.to(vector.dtype), PRECISION)
        logit = tl.dot(vector, block.T, input_precision=PRECISION) * log2_e
        logit = tl.where((item < items)[None, :], logit, float("-inf"))
        higher = tl.maximum(best, tl.max(logit, 1))
        share = tl.exp2(logit - higher[:, None])
        fade = tl.exp2(best - higher)
        count = count * fade + tl.sum(share, 1)
        share = _nearest(share.to(vector.dtype), PRECISION)
        summed = tl.dot(share, block, summed * fade[:, None], input_precision=PRECISION)
        best = higher
    place = tl.program_id(1) * targets + target
    tl.store(top + place, best, target < targets)
    tl.store(total + place, count, target < targets)
    tl.store(sums + place.to(tl.int64)[:, None] * DIM + column[None, :], summed, held)


@triton.jit
def _table_gradient(  # type: ignore[no-untyped-def]
    rows, table, normalizer, scale, gradient, targets, items, log2_e,
    DIM: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr, HELD: tl.constexpr, READ: tl.constexpr,
):  # fmt: skip
    """Of a tile of items, the sum of all targets' vectors by the items' probability for them."""
    item = tl.program_id(0) * HELD + tl.arange(0, HELD)
    column = tl.arange(0, WIDTH)
    there = (item < items)[:, None] & (column < DIM)[None, :]
    place = item.to(tl.int64)[:, None] * DIM + column[None, :]
    block = _nearest(tl.load(table + place, there, 0.0).to(rows.dtype.element_ty), PRECISION)
    summed = tl.zeros([HELD, WIDTH], tl.float32)
    for start in range(0, targets, READ):
        target = start + tl.arange(0, READ)
        held = (target < targets)[:, None] & (column < DIM)[None, :]
        vector = tl.load(rows + target[:, None] * DIM + column[None, :], held, 0.0)  # 0 adds nothing
        vector = _nearest(vector, PRECISION)
        logit = tl.dot(block, vector.T, input_precision=PRECISION) * log2_e
        share = tl.exp2(logit - tl.load(normalizer + target, target < targets, 0.0)[None, :])
        share = _nearest(share.to(vector.dtype), PRECISION)
        summed = tl.dot(share, vector, summed, input_precision=PRECISION)
    tl.store(gradient + place, (summed * tl.load(scale)).to(gradient.dtype.element_ty), there)
