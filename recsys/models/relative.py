"""Relative attention bias: what distance and time within a history say about relevance."""

from typing import Any

import torch
from torch import Tensor, nn

from recsys.models.batch import Batch

BUCKETS = 128
WIDTH = 0.301
"""Width of a bucket of times in their natural logarithm: each is 1.35 times as long ago as the one before."""


def time_buckets(batch: Batch) -> Tensor | None:
    """Bucket of the time from item j until the user came back after item i: `[rows, length (i), length (j)]` int64.

    floor(ln(max(seconds, 1)) / 0.301), at most 127, as in the code of Zhai et al. (ICML 2024). Item i itself is seen
    with the time since it was clicked, which is known when it is answered from. None where times are not known.
    """
    if batch.timestamp is None or batch.request_timestamp is None:
        return None
    elapsed = batch.request_timestamp[:, :, None] - batch.timestamp[:, None, :]
    return (elapsed.clamp(min=1).float().log() / WIDTH).long().clamp(max=BUCKETS - 1)


class RelativeBias(nn.Module):
    """rab^{p,t} of Zhai et al. (arXiv 2402.17152, section 3.2): a scalar for each distance and one for each time.

    As T5 has it, each head has its own (Zhai et al. share them between heads); all start at 0.

    Args:
        max_len: Longest history, in items.
        heads: Attention heads.
    """

    def __init__(self, max_len: int, heads: int) -> None:
        super().__init__()
        self.position, self.time = nn.Embedding(max_len, heads), nn.Embedding(BUCKETS, heads)
        nn.init.zeros_(self.position.weight)
        nn.init.zeros_(self.time.weight)

    def forward(self, length: int, bucket: Tensor | None) -> Tensor:
        """What is added to attention scores: `[rows or 1, heads, length, length]`; unknown times are no time at all."""
        place = torch.arange(length, device=self.position.weight.device)
        bias = self.position((place[:, None] - place).clamp(min=0))
        bias = bias + (self.time.weight[0] if bucket is None else self._of_times(bucket))
        return bias.view(-1, *bias.shape[-3:]).permute(0, 3, 1, 2)

    def _of_times(self, bucket: Tensor) -> Tensor:
        if not self.training or bucket.device.type != "cpu" or torch.compiler.is_compiling():
            return self.time(bucket)
        biases: Tensor = _LookUp.apply(self.time.weight, bucket)
        return biases


class _LookUp(torch.autograd.Function):
    """An embedding of a few numbers a row, whose gradient takes a CPU a tenth of the time."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.rows = len(table)
        return nn.functional.embedding(index, table)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (index,), (grad,) = ctx.saved_tensors, grads
        columns = [torch.bincount(index.flatten(), part.flatten(), ctx.rows) for part in grad.unbind(-1)]
        return torch.stack(columns, dim=1).to(grad), None


def causal_mask(length: int, device: torch.device) -> Tensor:
    """`[length, length]` bool, true where position i may see position j ≤ i."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()
