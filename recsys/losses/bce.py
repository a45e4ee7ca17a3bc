"""Binary cross-entropy of each target against a few items of its own."""

import torch
from torch import Tensor
from torch.nn import functional as F

from recsys.errors import InputError
from recsys.losses.base import Loss, Table, look_up, product_type, sum_type


class BCE(Loss):
    """Mean of −log σ(v·e_target) and, per negative, −log(1 − σ(v·e_negative)) (SASRec, section III-D).

    Negatives are drawn anew for every target, uniformly from all items but the target itself. (SASRec spares the rest
    of the user's history too, and adds the two terms: with one negative, twice this.) Memory grows with targets ×
    negatives × dim.

    Args:
        negatives: Items drawn per target.
    """

    def __init__(self, negatives: int = 1) -> None:
        super().__init__()
        if negatives < 1:
            raise InputError(f"{type(self).__name__}: negatives {negatives}: draw at least 1 item.")
        self.negatives = negatives

    def forward(self, vectors: Tensor, table: Table, target: Tensor) -> Tensor:
        """As every `Loss`."""
        negative = other_items(target, self.negatives, len(table))
        return binary_cross_entropy(vectors, table, target, negative, self.exponent(len(table)), self.sparse)

    def exponent(self, n_items: int) -> float:
        """Power of σ(v·e_target)."""
        return 1.0


def other_items(target: Tensor, negatives: int, n_items: int) -> Tensor:
    """Items `[targets, negatives]`, each drawn uniformly from all but padding and the target.

    Raises:
        InputError: there is no other item.
    """
    if n_items < 3:
        raise InputError(f"A negative needs a catalogue of at least 2 items, not {n_items - 1}.")
    drawn = torch.randint(1, n_items - 1, (len(target), negatives), device=target.device)
    return drawn + (drawn >= target[:, None])


def binary_cross_entropy(
    vectors: Tensor, table: Table, target: Tensor, negative: Tensor, exponent: float, sparse: bool = False
) -> Tensor:
    """Mean, over targets and their negatives `[targets, negatives]`, of −log σ^exponent(v·e) and −log(1 − σ(v·e))."""
    rows = look_up(table, torch.cat([target[:, None], negative], 1), sparse)
    dtype = product_type(vectors, rows)
    scores = (rows.to(dtype) @ vectors.to(dtype)[:, :, None]).squeeze(2).to(sum_type(dtype))
    losses = -exponent * F.logsigmoid(scores[:, 0]) - F.logsigmoid(-scores[:, 1:]).sum(1)
    return losses.sum() / max(losses.numel() * (1 + negative.shape[1]), 1)
