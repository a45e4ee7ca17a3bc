"""A table that histories are read with and that scores are made of, whose two gradients are one."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def look_up(table: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the items, padding (0) held still, and the table `[items, dim]` to score with in the same step.

    In values and gradients `F.embedding(item, table, padding_idx=0)` and `table`. But autograd would make a gradient of
    the table's size for each of the two and add them; here the few rows of the first are added into the second. So the
    table that is given back must have its gradient to itself: whatever else is in its vectors belongs into `table`.
    """
    rows, same = _LookUp.apply(table, item)
    return rows, same


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(table, item)
        ctx.set_materialize_grads(False)
        return F.embedding(item, table), table.view_as(table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_rows: Tensor | None, d_table: Tensor | None) -> tuple[Tensor | None, None]:
        table, item = ctx.saved_tensors
        if d_rows is None:
            return d_table, None
        total = torch.zeros_like(table) if d_table is None else d_table.contiguous()
        real = d_rows.masked_fill((item == 0)[..., None], 0).flatten(0, -2)
        return total.index_add_(0, item.flatten(), real.to(total.dtype)), None
