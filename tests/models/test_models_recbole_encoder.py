"""States at the points that are asked for are those of RecBole's whole encoder; what else it computes is left out."""

import pytest
import torch

from recsys.models import RecBole, SASRec
from recsys.models.recbole_encoder import encoded, fuse

ROWS, LENGTH, DIM = 3, 5, 8
CAUSAL = torch.zeros(1, 1, LENGTH, LENGTH).masked_fill(torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1), -10000.0)
PADDED = torch.tensor([[0.0] * 5, [0.0] * 2 + [-10000.0] * 3, [0.0] + [-10000.0] * 4])[:, None, None]


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return SASRec(9, LENGTH, DIM, layers=2, heads=2, inner_dim=12).eval().trm_encoder


@pytest.mark.parametrize("mask", [CAUSAL, PADDED], ids=["causal", "padded"])
@pytest.mark.parametrize(
    ("row", "position"),
    [([0, 1, 2], [4, 1, 0]), ([1, 1], [0, 1]), ([2], [0]), ([0, 0, 1, 2], [0, 1, 1, 0])],
    ids=["one a row", "two of one row", "fewer than rows", "more than rows"],
)
@torch.no_grad()
def test_a_state_that_is_asked_for_is_that_of_the_whole_encoder_and_no_other_is_computed(encoder, mask, row, position):
    x = torch.randn(ROWS, LENGTH, DIM)
    at = (torch.tensor(row), torch.tensor(position))
    states = encoded(encoder, x, mask, at)
    torch.testing.assert_close(states[at], encoder(x, mask)[-1][at], rtol=0, atol=1e-6)
    assert states[at].std() > 0.1
    others = torch.ones(ROWS, LENGTH, dtype=torch.bool).index_put(at, torch.tensor(False))
    assert not states[others].any()


def test_training_has_the_whole_encoder_and_its_gradients(encoder):
    x = torch.randn(ROWS, LENGTH, DIM)
    encoder.train()
    torch.manual_seed(1)
    states = encoded(encoder, x, CAUSAL, (torch.arange(ROWS), torch.arange(ROWS)))
    torch.manual_seed(1)
    assert torch.equal(states, encoder(x, CAUSAL)[-1])
    assert states.requires_grad


@pytest.mark.parametrize("model", ["CORE", "FDSA", "GCSAN", "LightSANs", "SASRec", "SASRecCPR", "SASRecF"])
def test_a_fused_gelu_gives_what_recboles_gives(model):
    features = {"class": torch.arange(9).numpy() % 4}
    network = RecBole(model, 9, LENGTH, settings={"reranker_CAN_NUM": 3} if "CPR" in model else {}, features=features)
    x = torch.randn(4, 3, requires_grad=True)
    parts = [part for part in network.modules() if hasattr(part, "gelu")]
    assert parts
    for part in parts:
        (fused,), (own,) = (torch.autograd.grad(f(x).square().sum(), x) for f in (part.intermediate_act_fn, part.gelu))
        torch.testing.assert_close(part.intermediate_act_fn(x), part.gelu(x))
        torch.testing.assert_close(fused, own)
        assert part.intermediate_act_fn is torch.nn.functional.gelu


def test_another_activation_stays():
    network = RecBole("SASRec", 9, LENGTH, settings={"hidden_act": "swish"})
    fuse(network)
    assert all(part.intermediate_act_fn == part.swish for part in network.modules() if hasattr(part, "swish"))
