"""HSTU by its equations, one position after the other, and what times say to it."""

from math import exp, floor, log, sqrt

import pytest
import torch
from torch import nn

from recsys.errors import InputError
from recsys.models import HSTU
from recsys.models.hstu import Unit
from recsys.models.relative import BUCKETS, RelativeBias, time_buckets

SIZE = {"n_items": 12, "max_len": 6, "dim": 8, "heads": 2}


def silu(x):
    return x / (1 + exp(-x))


def plain_norm(x):
    return (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + 1e-6)


def by_hand(unit, x, bucket):
    """Equations 1 to 3 of the paper with loops: `x` `[length, dim]`, `bucket` `[length, length]`."""
    length, dim = x.shape
    width = dim // unit.heads
    out = torch.zeros_like(x)
    u, v, q, k = nn.functional.silu(torch.stack([plain_norm(row) for row in x]) @ unit.f1.weight.T).split(dim, dim=1)
    for i in range(length):
        attended = torch.zeros(dim, dtype=x.dtype)
        for h in range(unit.heads):
            own = slice(h * width, (h + 1) * width)
            for j in range(i + 1):
                bias = unit.bias.position.weight[i - j, h] + unit.bias.time.weight[bucket[i, j], h]
                attended[own] += silu(float(q[i, own] @ k[j, own] + bias)) / unit.max_len * v[j, own]
        out[i] = x[i] + unit.f2.weight @ (plain_norm(attended) * u[i]) + unit.f2.bias
    return out


@torch.no_grad()
def test_a_unit_is_the_equations_of_the_paper(trained):
    unit = trained(Unit(max_len=6, dim=8, heads=2, dropout=0.5)).double()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 4, 8, dtype=torch.float64, generator=generator)
    bucket = torch.randint(0, BUCKETS, (2, 4, 4), generator=generator)
    found = unit(x, bucket, torch.ones(4, 4, dtype=torch.bool).tril())
    for row in range(2):
        torch.testing.assert_close(found[row], by_hand(unit, x[row], bucket[row]), rtol=0, atol=1e-10)


@torch.no_grad()
def test_the_whole_is_scaled_items_and_places_through_units_and_a_cosine(batch_of, trained):
    model = trained(HSTU(**SIZE, layers=2, temperature=0.5)).double()
    batch = batch_of([[3, 7, 1]], times=[[10, 20, 500, 9000]])
    x = sqrt(8) * (model.item_embedding.weight[[3, 7, 1]] + model.position_embedding.weight[:3])
    for unit in model.units:
        x = by_hand(unit, x, time_buckets(batch)[0])
    torch.testing.assert_close(model.encode(batch)[0], x[2] / x[2].norm() / 0.5, rtol=0, atol=1e-10)
    table = model.item_embedding.weight
    torch.testing.assert_close(model.item_vectors(), table / table.norm(dim=1, keepdim=True))
    assert torch.equal(model.item_vectors(torch.tensor([5, 2])), model.item_vectors()[[5, 2]])


def test_buckets_of_times_by_hand(batch_of):
    """From each item to the return after each: the diagonal is how long the user stayed away."""
    day = 86_400
    bucket = time_buckets(batch_of([[1, 2, 3]], times=[[0, 1, 61, 61 + day]]))
    elapsed = [[1, 0, 0], [61, 60, 0], [61 + day, 60 + day, day]]
    expected = [[floor(log(max(seconds, 1)) / 0.301) for seconds in row] for row in elapsed]
    assert bucket.tolist() == [expected]
    assert expected[2] == [37, 37, 37]
    assert expected[1] == [13, 13, 0]


def test_no_time_is_too_long(batch_of):
    assert time_buckets(batch_of([[1]], times=[[-(2**40), 2**62]])).tolist() == [[[BUCKETS - 1]]]


def test_nothing_is_known_of_times_that_are_not_given(batch_of):
    assert time_buckets(batch_of([[1, 2]])) is None
    bias = RelativeBias(4, 3)
    nn.init.normal_(bias.time.weight)
    assert torch.equal(bias(2, None), bias(2, torch.zeros(1, 2, 2, dtype=torch.int64)))
    assert bias(2, None).shape == (1, 3, 2, 2)


def test_the_bias_has_the_value_and_gradient_of_an_embedding():
    torch.manual_seed(0)
    bias, bucket = RelativeBias(4, 3), torch.randint(BUCKETS, (2, 4, 4))
    torch.nn.init.normal_(bias.time.weight)
    weight = torch.randn(2, 3, 4, 4)
    trained = bias.train()(4, bucket)
    (trained * weight).sum().backward()
    found = bias.time.weight.grad.clone()
    bias.zero_grad()
    plain = bias.position.weight[(torch.arange(4)[:, None] - torch.arange(4)).clamp(min=0)] + bias.time(bucket)
    (plain.permute(0, 3, 1, 2) * weight).sum().backward()
    torch.testing.assert_close(found, bias.time.weight.grad)
    torch.testing.assert_close(trained, plain.permute(0, 3, 1, 2))
    torch.testing.assert_close(bias.eval()(4, bucket), trained)


@torch.no_grad()
def test_the_time_of_the_request_counts(batch_of, trained):
    model = trained(HSTU(**SIZE))
    soon, late = (model.encode(batch_of([[1, 2]], times=[[0, 60, now]])) for now in (61, 100_000))
    assert (soon - late).abs().max() > 1e-2


def test_it_starts_as_it_says():
    torch.manual_seed(0)
    model = HSTU(n_items=500, max_len=50, dim=64)
    assert model.item_embedding.weight[1:].std().item() == pytest.approx(1 / 8, rel=0.02)
    assert model.units[0].f1.weight.std().item() == pytest.approx(1 / 8, rel=0.02)
    assert model.item_vectors()[0].abs().max() == 0
    assert all(not unit.bias.time.weight.any() and not unit.bias.position.weight.any() for unit in model.units)


def test_every_parameter_learns(batch_of):
    torch.manual_seed(0)
    model = HSTU(**SIZE, tied=False)
    batch = batch_of([[1, 2, 3], [4]], times=[[0, 5, 70, 900], [3, 8]])
    (model.encode(batch) @ model.item_vectors().T).logsumexp(1).sum().backward()
    silent = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize(
    ("wrong", "message"), [({"heads": 3}, "heads 3: must divide dim, 8"), ({"heads": 0}, "heads 0")]
)
def test_heads_that_do_not_divide_the_width(wrong, message):
    with pytest.raises(InputError, match=message):
        HSTU(**{**SIZE, **wrong})


def test_a_temperature_of_nothing():
    with pytest.raises(InputError, match="temperature 0: must be above 0"):
        HSTU(**SIZE, temperature=0)
