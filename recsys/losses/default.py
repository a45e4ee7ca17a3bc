"""Which loss a catalogue of a given size is trained with, where none was chosen."""

from recsys.losses.base import Loss
from recsys.losses.full_softmax import FullSoftmax
from recsys.losses.sampled_softmax import SampledSoftmax

_EXACT = {"cpu": 200_000}
_EXACT_ELSEWHERE = 2_000_000


def default_loss(n_items: int, device: str) -> tuple[Loss, str]:
    """The exact softmax as far as a device of that type carries it, then a sampled one; and the reason in words."""
    limit = _EXACT.get(device, _EXACT_ELSEWHERE)
    exact = n_items <= limit
    loss = FullSoftmax() if exact else SampledSoftmax()
    reason = f"{n_items:,} items are {'no ' if exact else ''}more than the {limit:,} up to which {device} is exact"
    return loss, reason
