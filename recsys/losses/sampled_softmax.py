"""Softmax cross-entropy with a sample of the catalogue in place of the whole, corrected for how it was drawn."""

import torch
from torch import Tensor
from torch.nn import functional as F

from recsys.errors import InputError
from recsys.losses.base import Loss, Table, look_up, product_type, sum_type
from recsys.losses.full_softmax import FullSoftmax


class SampledSoftmax(Loss):
    """Cross-entropy against `negatives` items, drawn with replacement once a step and shared by all its targets.

    See `sampled_cross_entropy` for the correction. An estimate of `FullSoftmax` that tends to it as negatives grow, and
    is it when as many are asked for as there are items.

    Draws are made by torch's generator of the CPU, so that a seed means the same negatives on every device.

    Args:
        negatives: Items drawn a step.
        popular: Share of the draws that is by popularity; the rest is uniform, and so is all of it with 0.
        power: Exponent of an item's clicks in the draws by popularity.
    """

    def __init__(self, negatives: int = 8192, popular: float = 0.5, power: float = 0.75) -> None:
        super().__init__()
        if negatives < 1:
            raise InputError(f"SampledSoftmax: negatives {negatives}: draw at least 1 item.")
        if not 0 <= popular < 1:
            raise InputError(f"SampledSoftmax: popular {popular}: must be at least 0 and below 1.")
        self.negatives, self.popular, self.power = negatives, popular, power
        self._exact = FullSoftmax()
        self._q: Tensor | None = None
        self._cumulative: Tensor | None = None

    def prepare(self, popularity: Tensor) -> None:
        """As every `Loss`."""
        weight = popularity.cpu().double() ** self.power
        weight[0] = 0
        uniform = torch.ones_like(weight)
        uniform[0] = 0
        self._q = (1 - self.popular) * uniform / uniform.sum() + self.popular * weight / weight.sum()
        self._cumulative = self._q.cumsum(0)
        self._cumulative /= self._cumulative[-1].clone()

    def reads_all(self, n_items: int, device: str) -> bool:
        """As every `Loss`."""
        return self.negatives >= n_items - 1

    def forward(self, vectors: Tensor, table: Table, target: Tensor) -> Tensor:
        """As every `Loss`."""
        if self.reads_all(len(table), vectors.device.type):
            return self._exact(vectors, table, target)
        negative, q = self.draw(len(table))
        log_count = (self.negatives * q).log().to(vectors.device, torch.promote_types(vectors.dtype, torch.float32))
        return sampled_cross_entropy(vectors, table, target, negative.to(vectors.device), log_count, self.sparse)

    def draw(self, n_items: int) -> tuple[Tensor, Tensor]:
        """Negatives `[negatives]` and the probability that a draw had of being each."""
        if not self.popular:
            q = torch.full((self.negatives,), 1 / (n_items - 1), dtype=torch.float64)
            return torch.randint(1, n_items, (self.negatives,)), q
        if self._q is None or self._cumulative is None:
            raise InputError("SampledSoftmax: call prepare(popularity) first, or draw uniformly with popular=0.")
        lot = torch.rand(self.negatives, dtype=self._cumulative.dtype)
        negative = torch.searchsorted(self._cumulative, lot, right=True)
        return negative, self._q[negative]


def sampled_cross_entropy(
    vectors: Tensor, table: Table, target: Tensor, negative: Tensor, log_count: Tensor, sparse: bool = False
) -> Tensor:
    """Mean over targets of −log(exp(v·e_target) / (exp(v·e_target) + Σ_j exp(v·e_j − log_count_j))).

    With `log_count_j` = log of how often j is expected among the negatives `[negatives]`, the sum is an unbiased
    estimate of the softmax's over all items but the target: importance sampling (Bengio and Senécal 2008), in
    recommendation the logQ correction (Yi et al., RecSys 2019). The target's own logit is not corrected, because it is
    never drawn and always there (Khrylchenko et al., RecSys 2025, arXiv 2507.09331).

    A negative that is the target itself is masked for that target. Items that the same user clicked elsewhere are not:
    the full softmax has them among its negatives too.
    """
    # One look-up for both, because its gradient is as large as the table
    rows = look_up(table, torch.cat([target, negative]), sparse)
    dtype = product_type(vectors, rows)
    exact = sum_type(dtype)
    positive, others = rows.to(dtype).split([len(target), len(negative)])
    vectors = vectors.to(dtype)
    score = (vectors.to(exact) * positive).sum(1)
    logits = (vectors @ others.T).to(exact).sub_(log_count)  # in place, for they are many
    logits.masked_fill_(target[:, None] == negative, torch.finfo(exact).min)
    losses = -F.logsigmoid(score - logits.logsumexp(1))
    return losses.sum() / max(len(target), 1)
