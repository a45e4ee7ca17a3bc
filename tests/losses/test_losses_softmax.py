"""Exact up to what the device carries, sampled beyond."""

import pytest
import torch

from recsys.losses import FullSoftmax, SampledSoftmax, Softmax


@pytest.mark.parametrize(
    ("n_items", "device", "kind"),
    [
        (200_000, "cpu", "FullSoftmax"),
        (200_001, "cpu", "SampledSoftmax"),
        (1_983_939, "cuda", "FullSoftmax"),
        (2_000_001, "cuda", "SampledSoftmax"),
        (2_000_001, "mps", "SampledSoftmax"),
    ],
)
def test_what_it_says(n_items, device, kind):
    said = Softmax().describe(n_items, device)
    assert said.startswith(f"{kind}, ")
    assert f"{n_items:,}" in said


@pytest.mark.parametrize(("limit", "loss"), [(32, FullSoftmax()), (31, SampledSoftmax(8192))])
def test_it_does_what_it_says(case, outcome, limit, loss):
    chosen = Softmax(exact_up_to=limit)
    assert chosen.describe(32, "cpu").startswith(type(loss).__name__)
    for each in (loss, chosen):
        each.prepare(torch.arange(32))
    ours, theirs = outcome(chosen, *case(5, 31)), outcome(loss, *case(5, 31))
    for left, right in zip(ours, theirs, strict=True):
        assert torch.equal(left, right)


def test_beyond_the_limit_items_are_drawn(case):
    chosen = Softmax(exact_up_to=100)
    chosen.prepare(torch.ones(20_001))
    vectors, table, target = case(5, 20_000)
    torch.manual_seed(0)
    first, second = chosen(vectors, table, target), chosen(vectors, table, target)
    assert first != second
    assert first.item() == pytest.approx(FullSoftmax()(vectors, table, target).item(), abs=0.5)
