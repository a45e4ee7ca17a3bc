"""Cheaper dropout is dropout."""

import pytest
import torch
from torch import Tensor, nn

from recsys.models import BERT4Rec, Model, SASRec
from recsys.models.dropout import Dropout, lean_dropout

MANY = 1_000_000


def dropped(p: float, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    torch.manual_seed(0)
    return Dropout(p)(torch.ones(*shape, dtype=dtype))


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
def test_as_many_are_dropped_as_asked_for_and_the_others_scaled(p: float) -> None:
    out = dropped(p, MANY)
    assert float((out == 0).double().mean()) == pytest.approx(p, abs=5 * (p * (1 - p) / MANY) ** 0.5)
    assert out[out != 0].unique().tolist() == pytest.approx([1 / (1 - p)])


def test_the_draws_of_one_random_word_do_not_know_of_each_other() -> None:
    kept = (dropped(0.5, MANY // 4, 4) != 0).float()
    assert torch.corrcoef(kept.T).fill_diagonal_(0).abs().max() < 5 / (MANY // 4) ** 0.5


@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (2, 5), (3, 3, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_shape_and_kind_of_number(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    out = dropped(0.5, *shape, dtype=dtype)
    assert (out.shape, out.dtype) == (shape, dtype)
    assert set(out.flatten().tolist()) <= {0.0, 2.0}


def test_the_seed_decides() -> None:
    assert torch.equal(dropped(0.5, 100), dropped(0.5, 100))


def test_the_gradient_is_dropped_alike() -> None:
    x = torch.ones(100, requires_grad=True)
    out = Dropout(0.5)(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())


@pytest.mark.parametrize(("p", "value"), [(0.0, 1.0), (1.0, 0.0)])
def test_nothing_or_all(p: float, value: float) -> None:
    assert dropped(p, 100).unique().tolist() == [value]


def test_it_rests_outside_training() -> None:
    x = torch.ones(100)
    assert torch.equal(Dropout(0.5).eval()(x), x)


@pytest.mark.parametrize("model", [SASRec, BERT4Rec])
def test_a_network_scores_as_before_under_the_same_names(model: type[Model]) -> None:
    torch.manual_seed(0)
    network = model(n_items=20, max_len=5, dim=8, layers=2, heads=2, inner_dim=16).eval()
    tokens, names = torch.randn(4, 5, 8), list(network.state_dict())
    before = network.trm_encoder(tokens, torch.zeros(5, 5), output_all_encoded_layers=False)[-1]
    lean_dropout(network)
    after = network.trm_encoder(tokens, torch.zeros(5, 5), output_all_encoded_layers=False)[-1]
    assert torch.equal(after, before)
    assert list(network.state_dict()) == names
    dropouts = [part for part in network.modules() if isinstance(part, nn.Dropout)]
    assert dropouts
    assert all(type(part) is Dropout and not part.training for part in dropouts)
