"""Cross-entropy over the whole catalogue without ever holding the matrix of logits."""

from typing import Any

import torch
from torch import Tensor, nn


class FullSoftmax(nn.Module):
    """Softmax cross-entropy over every item but padding: mean over targets of logsumexp_j(v·e_j) − v·e_target.

    Equal to `F.cross_entropy(vectors @ table[1:].T, target - 1)` in value and gradient; items are taken `chunk` at a
    time and their logits computed a second time in the backward pass (as in arXiv 2411.09009), so the memory is
    `targets × chunk` instead of `targets × items`.

    Args:
        chunk: Items whose logits are held at once.
    """

    def __init__(self, chunk: int = 8192) -> None:
        super().__init__()
        self.chunk = chunk

    def forward(self, vectors: Tensor, table: Tensor, target: Tensor) -> Tensor:
        """Scalar loss of vectors `[targets, dim]`, table `[items, dim]` (row 0 is padding), items `[targets]`.

        Under autocast, logits are made of autocast's type, as cross-entropy's would be; sums are at least float32.
        Without any target the loss is 0.
        """
        device = vectors.device.type
        mixed = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if mixed else torch.promote_types(vectors.dtype, table.dtype)
        vectors, table = vectors.to(dtype), table.to(dtype)
        if not len(target):
            return 0.0 * (vectors.sum() + table.sum())
        if len(table) - 1 <= self.chunk:
            logits = vectors @ table[1:].T
            loss: Tensor = nn.functional.cross_entropy(logits.to(torch.promote_types(dtype, torch.float32)), target - 1)
        else:
            loss = _ChunkedCrossEntropy.apply(vectors, table, target, self.chunk)
        return loss


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, table: Tensor, target: Tensor, chunk: int) -> Tensor:
        exact = torch.promote_types(vectors.dtype, torch.float32)
        normalizer = vectors.new_full((len(vectors),), -torch.inf, dtype=exact)
        for start in range(1, len(table), chunk):
            part = (vectors @ table[start : start + chunk].T).to(exact).logsumexp(1)
            normalizer = torch.logaddexp(normalizer, part)
        ctx.save_for_backward(vectors, table, target, normalizer)
        ctx.chunk = chunk
        return (normalizer - (vectors.to(exact) * table[target]).sum(1)).mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        vectors, table, target, normalizer = ctx.saved_tensors
        scale = gradients[0] / len(vectors)
        d_vectors, d_table = torch.zeros_like(vectors, dtype=normalizer.dtype), torch.zeros_like(table)
        for start in range(1, len(table), ctx.chunk):
            part = table[start : start + ctx.chunk]
            probability = ((vectors @ part.T).to(normalizer.dtype) - normalizer[:, None]).exp_().to(vectors.dtype)
            d_vectors += probability @ part
            d_table[start : start + ctx.chunk] = probability.T @ vectors
        d_vectors -= table[target]
        d_table.index_add_(0, target, vectors, alpha=-1)
        return (d_vectors * scale).to(vectors.dtype), d_table * scale.to(table.dtype), None, None
