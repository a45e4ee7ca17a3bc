"""Every step gives every parameter a gradient, or several processes would wait for it for ever."""

from collections.abc import Callable

import pytest

from recsys import models
from recsys.losses import FullSoftmax
from recsys.models import Batch, Model
from recsys.models.recbole_zoo import DOT_PRODUCT, OTHER_SCORES

ITEMS, LENGTH = 110, 6
FEATURED = {"FDSA", "GRU4RecF", "SASRecF"}  # need columns of the items


def without_gradient(network: Model, batch: Batch) -> list[str]:
    network.training_loss(batch, FullSoftmax()).backward()
    return [name for name, each in network.named_parameters() if each.requires_grad and each.grad is None]


NATIVE = ["SASRec", "BERT4Rec", "SearchSASRec", "SESRec", "UniSAR", "HSTU", "eSASRec", "CausalTransformer"]


@pytest.mark.parametrize("name", NATIVE)
def test_of_a_native_model_without_any_search(name: str, batch_of: Callable[..., Batch]) -> None:
    network = getattr(models, name)(n_items=ITEMS, max_len=LENGTH, dim=8)
    assert not without_gradient(network, batch_of([[1, 2, 3], [4, 5]], next_item=[6, 7]))


def test_of_a_search_branch_alone(batch_of: Callable[..., Batch]) -> None:
    network = models.SearchSASRec(n_items=ITEMS, max_len=LENGTH, dim=8)
    for parameter in network.backbone():
        parameter.requires_grad_(False)
    assert not without_gradient(network, batch_of([[1, 2, 3], [4, 5]]))


@pytest.mark.parametrize("name", sorted((DOT_PRODUCT | OTHER_SCORES) - FEATURED))
def test_of_a_recbole_model(name: str, batch_of: Callable[..., Batch]) -> None:
    network = models.RecBole(name, n_items=ITEMS, max_len=LENGTH, n_users=4)
    assert not without_gradient(network, batch_of([[1, 2, 3], [4, 5]]))
