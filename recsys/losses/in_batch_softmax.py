"""Softmax cross-entropy against the other targets of the step."""

import torch
from torch import Tensor

from recsys.errors import InputError
from recsys.losses.base import Loss, Table
from recsys.losses.sampled_softmax import sampled_cross_entropy


class InBatchSoftmax(Loss):
    """Cross-entropy against the targets of all other predictions of the step, taken as draws by popularity.

    Corrected and masked as `sampled_cross_entropy` says, with an item's share of the training clicks in place of the
    running estimate of Yi et al. (RecSys 2019). Reads no rows of the table but those of the targets.
    """

    def __init__(self) -> None:
        super().__init__()
        self._log_q: Tensor | None = None

    def prepare(self, popularity: Tensor) -> None:
        """As every `Loss`."""
        clicks = popularity.double().clamp(min=1)  # a target was clicked, whatever was counted
        clicks[0] = 0
        self._log_q = (clicks / clicks.sum()).log().float()

    def forward(self, vectors: Tensor, table: Table, target: Tensor) -> Tensor:
        """As every `Loss`."""
        if self._log_q is None:
            raise InputError("InBatchSoftmax: call prepare(popularity) first.")
        self._log_q = self._log_q.to(target.device)
        others = torch.tensor(max(len(target) - 1, 1), device=target.device)  # draws beside each target
        return sampled_cross_entropy(vectors, table, target, target, self._log_q[target] + others.log(), self.sparse)
