"""The native Transformer's parts, each by its plain formula."""

import pytest
import torch
from torch import nn

from recsys.models import CausalTransformer, eSASRec
from recsys.models.causal_transformer import Attention, Branch, FeedForward
from recsys.models.relative import RelativeBias

SHAPE = {"n_items": 12, "max_len": 6, "dim": 8, "layers": 2, "heads": 2, "inner_dim": 12}


@pytest.fixture
def x():
    return torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("biased", [False, True])
@torch.no_grad()
def test_attention_is_a_softmax_over_what_came_before(x, trained, biased):
    bucket = torch.arange(50).view(2, 5, 5)
    attention = trained(Attention(8, 2, 0.5, RelativeBias(6, 2) if biased else None))
    q, k, v = (part.view(2, 5, 2, 4) for part in (x @ attention.qkv.weight.T + attention.qkv.bias).split(8, -1))
    score = torch.einsum("bihd,bjhd->bhij", q, k) / 2  # the root of 4, a head's width
    if biased:
        score = score + attention.bias(5, bucket)
    weight = score.masked_fill(torch.ones(5, 5, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)
    mixed = torch.einsum("bhij,bjhd->bihd", weight, v).reshape(2, 5, 8)
    torch.testing.assert_close(attention(x, bucket), attention.out(mixed))


@torch.no_grad()
def test_a_bias_that_has_learnt_nothing_is_none(batch_of, trained):
    plain, biased = trained(CausalTransformer(**SHAPE)), CausalTransformer(**SHAPE, time_bias=True).eval()
    biased.load_state_dict(plain.state_dict(), strict=False)
    batch = batch_of([[1, 2, 3]], times=[[0, 9, 99, 999]])
    torch.testing.assert_close(biased.encode(batch), plain.encode(batch))


@torch.no_grad()
def test_the_feed_forward_is_swiglu(x, trained):
    layer = trained(FeedForward(8, 12))
    gate, value = (x @ half.T for half in layer.inward.weight.split(12))
    torch.testing.assert_close(layer(x, None), (gate * gate.sigmoid() * value) @ layer.outward.weight.T)


@pytest.mark.parametrize("residual", ["post", "pre", "gated"])
@torch.no_grad()
def test_three_ways_to_meet_the_input(x, trained, residual):
    branch = trained(Branch(FeedForward(8, 12), 8, 0.5, residual))
    f, norm = (lambda x: branch.sublayer(x, None)), branch.norm
    expected = {
        "post": lambda: norm(x + f(x)),
        "pre": lambda: x + f(norm(x)),
        "gated": lambda: x + (x @ branch.gate.weight.T + branch.gate.bias).sigmoid() * f(norm(x)),
    }
    torch.testing.assert_close(branch(x, None), expected[residual]())


@torch.no_grad()
def test_a_closed_gate_lets_the_input_through(batch_of):
    model = CausalTransformer(**SHAPE, residual="gated", positions=False).eval()
    for layer in model.layers:
        nn.init.zeros_(layer.gate.weight)
        nn.init.constant_(layer.gate.bias, -1e9)
    entered = model.scale * model.item_embedding.weight[[2]]
    assert torch.equal(model.encode(batch_of([[5, 2]])), model.last_norm(entered))


@torch.no_grad()
def test_esasrec_is_the_gated_one(batch_of, trained):
    named = trained(eSASRec(**SHAPE))
    general = CausalTransformer(**SHAPE, residual="gated").eval()
    general.load_state_dict(named.state_dict())
    assert torch.equal(named.encode(batch_of([[1, 2, 3]])), general.encode(batch_of([[1, 2, 3]])))


def test_an_untied_table_is_one_of_its_own():
    model = CausalTransformer(**SHAPE, tied=False)
    assert model.item_vectors() is model.output_embedding.weight
    assert not torch.equal(model.output_embedding.weight[1:], model.item_embedding.weight[1:])
    assert CausalTransformer(**SHAPE).output_embedding is None


@torch.no_grad()
def test_without_positions_and_bias_a_place_has_no_name(batch_of, trained):
    """In one layer: the last item attends to a set."""
    model = trained(CausalTransformer(**{**SHAPE, "layers": 1}, positions=False))
    one, other = (model.encode(batch_of([history])) for history in ([4, 5, 2], [5, 4, 2]))
    torch.testing.assert_close(one, other)
    model = trained(CausalTransformer(**{**SHAPE, "layers": 1}, positions=False, time_bias=True))
    one, other = (model.encode(batch_of([history])) for history in ([4, 5, 2], [5, 4, 2]))
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("residual", ["post", "pre", "gated"])
def test_every_parameter_learns(batch_of, residual):
    torch.manual_seed(0)
    model = CausalTransformer(**SHAPE, residual=residual, time_bias=True, tied=False)
    batch = batch_of([[1, 2, 3], [4]], times=[[0, 5, 70, 900], [3, 8]])
    vectors = model.encode(batch)
    (vectors @ model.item_vectors().T).logsumexp(1).sum().backward()
    silent = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert silent == []


def test_it_starts_as_it_says():
    torch.manual_seed(0)
    model = CausalTransformer(n_items=500, residual="gated")
    for table in (model.item_embedding.weight[1:], model.position_embedding.weight):
        assert table.std().item() == pytest.approx(1 / 8, rel=0.02)
    assert not model.item_vectors()[0].any()
    for name, module in model.layers.named_modules():
        if isinstance(module, nn.Linear):
            expected = (2 / sum(module.weight.shape)) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.05), name
            assert module.bias is None or not module.bias.any()
