"""The loss that a catalogue is trained with when none is configured."""

import pytest

from recsys.losses import FullSoftmax, SampledSoftmax, default_loss


@pytest.mark.parametrize(
    ("n_items", "device", "kind"),
    [
        (200_000, "cpu", FullSoftmax),
        (200_001, "cpu", SampledSoftmax),
        (1_983_939, "cuda", FullSoftmax),
        (2_000_001, "cuda", SampledSoftmax),
        (2_000_001, "mps", SampledSoftmax),
    ],
)
def test_exact_up_to_what_the_device_carries(n_items, device, kind):
    loss, reason = default_loss(n_items, device)
    assert type(loss) is kind
    assert f"{n_items:,}" in reason
