"""The softmax that suits the size of the catalogue."""

from torch import Tensor

from recsys.losses.base import Loss, Table
from recsys.losses.full_softmax import FullSoftmax
from recsys.losses.sampled_softmax import SampledSoftmax

_EXACT = {"cpu": 200_000}
_EXACT_ELSEWHERE = 2_000_000


class Softmax(Loss):
    """`FullSoftmax` over as many items as the device can be expected to carry, `SampledSoftmax` over more.

    Args:
        exact_up_to: Items, padding included, up to which it is exact (default: 200,000 on a CPU, else 2,000,000).
    """

    def __init__(self, exact_up_to: int | None = None) -> None:
        super().__init__()
        self.exact_up_to = exact_up_to
        self._exact, self._sampled = FullSoftmax(), SampledSoftmax()

    def prepare(self, popularity: Tensor) -> None:
        """As every `Loss`."""
        self._sampled.prepare(popularity)

    def reads_all(self, n_items: int, device: str) -> bool:
        """As every `Loss`."""
        return n_items <= self._limit(device) or self._sampled.reads_all(n_items, device)

    def describe(self, n_items: int, device: str) -> str:
        """Which of the two it is, and why."""
        limit = self._limit(device)
        if n_items <= limit:
            return f"{FullSoftmax.__name__}, exact as it is up to {limit:,} items on {device}; here are {n_items:,}"
        sampled = f"{self._sampled.negatives:,} negatives a step"
        return f"{SampledSoftmax.__name__}, {sampled}, as {n_items:,} items are more than {limit:,} on {device}"

    def forward(self, vectors: Tensor, table: Table, target: Tensor) -> Tensor:
        """As every `Loss`."""
        loss: Loss = self._exact if len(table) <= self._limit(vectors.device.type) else self._sampled
        return loss(vectors, table, target)

    def _limit(self, device: str) -> int:
        return _EXACT.get(device, _EXACT_ELSEWHERE) if self.exact_up_to is None else self.exact_up_to
