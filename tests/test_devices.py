"""No model and no loss makes a tensor anywhere but where its parameters and its batch are.

Computed without values, on a device that no machine has: torch's fake tensors know the device of every result, and
refuse to combine two devices as a GPU does.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from recsys import losses, models
from recsys.losses import Loss
from recsys.models import Batch, Model
from recsys.models.recbole_zoo import DOT_PRODUCT, OTHER_SCORES

ITEMS, LENGTH, ELSEWHERE = 120, 8, "meta"
FEATURED = {"FDSA", "GRU4RecF", "SASRecF"}  # need columns of the items
NATIVE = ["SASRec", "BERT4Rec", "HSTU", "eSASRec", "CausalTransformer"]  # searches are laid out by their number
LOOK_AT_VALUES = {"GCSAN", "HRM", "SRGNN"}  # of their input, on the host


class Call(nn.Module):
    """Computes something with a network whose parameters are somewhere else."""

    def __init__(self, network: Model, compute: Callable[[Model], Any]) -> None:
        super().__init__()
        self.network, self.compute = network, compute

    def forward(self) -> Any:
        return self.compute(self.network)


def elsewhere(network: Model, compute: Callable[[Model, Batch], Any]) -> Any:
    module = Call(network, lambda network: compute(network, batch()))
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    moved = {name: value.detach().to(ELSEWHERE) for name, value in state.items()}
    with FakeTensorMode() as mode:
        return torch.func.functional_call(module, {name: mode.from_tensor(value) for name, value in moved.items()}, ())


def batch() -> Batch:
    """Three rows, two points of each, one search."""
    row = torch.tensor([0, 0, 1, 1, 2, 2])
    return Batch(
        item=torch.ones(3, LENGTH, dtype=torch.int64),
        timestamp=torch.ones(3, LENGTH, dtype=torch.int64),
        request_timestamp=torch.ones(3, LENGTH, dtype=torch.int64),
        next_item=torch.ones(3, dtype=torch.int64),
        point_row=row,
        point_position=torch.ones_like(row),
        request=row,
        target_point=torch.arange(6),
        target_item=torch.ones_like(row),
        search_row=row[:1],
        search_position=row[:1],
        search_type=row[:1],
        search_gram=torch.ones(1, 4, dtype=torch.int64),
        user=torch.ones_like(row),
    ).to(ELSEWHERE)


@pytest.mark.parametrize("name", NATIVE)
def test_native_models_stay_on_their_device(name: str) -> None:
    network = getattr(models, name)(n_items=ITEMS, max_len=LENGTH, dim=8)
    vectors, table = elsewhere(network, lambda network, batch: (network.encode(batch), network.item_vectors()))
    assert vectors.device.type == table.device.type == ELSEWHERE
    if name != "BERT4Rec":  # draws how many positions it masks
        points = elsewhere(network, lambda network, batch: network.training_points(batch))
        assert [tensor.device.type for tensor in points] == 3 * [ELSEWHERE]


@pytest.mark.parametrize("name", sorted((DOT_PRODUCT | OTHER_SCORES) - LOOK_AT_VALUES - FEATURED))
def test_recbole_models_stay_on_their_device(name: str) -> None:
    network = models.RecBole(name, n_items=ITEMS, max_len=LENGTH, n_users=3)
    vectors = elsewhere(network, lambda network, batch: network.encode(batch))
    assert vectors.device.type == ELSEWHERE


@pytest.mark.parametrize("kind", [getattr(losses, name) for name in losses.__all__ if name != "Loss"])
def test_losses_stay_on_their_device(kind: type[Loss], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)  # which it will not say of this device
    loss = kind()
    loss.prepare(torch.ones(ITEMS))
    with FakeTensorMode(allow_non_fake_inputs=True):
        vectors, table = (torch.ones(n, 4, device=ELSEWHERE, requires_grad=True) for n in (3, ITEMS))
        value: Tensor = loss(vectors, table, torch.ones(3, dtype=torch.int64, device=ELSEWHERE))
        value.backward()
        assert value.device.type == table.grad.device.type == ELSEWHERE
