"""The loss is cross-entropy over the catalogue without padding; only its memory differs."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from recsys.losses import FullSoftmax

TILES = [(1, 1), (2, 3), (3, 8), (100, 9), (4, 100), (100, 100)]


def reference(vectors, table, target):
    return F.cross_entropy(vectors @ table[1:].T, target - 1)


def test_by_hand():
    vectors = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    table = torch.tensor([[9.0, 9.0], [0.0, 1.0], [0.0, 2.0], [0.0, 5.0], [0.0, 7.0]], dtype=torch.float64)
    for tile in TILES:  # all four scores are 0: log 4, and padding's 9 has no part in it
        assert FullSoftmax(tile)(vectors, table, torch.tensor([2])).item() == pytest.approx(1.3862943611198906)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 7),
    st.integers(1, 12),
    st.tuples(st.integers(1, 8), st.integers(1, 14)),
    st.integers(0, 99),
    st.sampled_from([1.0, 30.0]),
)
def test_value_and_gradient_of_cross_entropy(case, outcome, targets, items, tile, seed, scale):
    ours = outcome(FullSoftmax(tile), *case(targets, items, seed=seed, scale=scale))
    theirs = outcome(reference, *case(targets, items, seed=seed, scale=scale))
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)


def test_value_and_gradient_with_the_tile_of_the_device(case, outcome):
    ours = outcome(FullSoftmax(), *case(300, 2500, dim=8))
    theirs = outcome(reference, *case(300, 2500, dim=8))
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


def test_thousands_of_tiles_lose_no_digits(case):
    errors = []
    for scale in (0.1, 0.5, 1.5):
        ours = FullSoftmax((8, 16))(*case(8, 60_000, dtype=torch.float32, scale=scale))
        errors.append(abs(ours.item() - reference(*case(8, 60_000, scale=scale)).item()))
    assert max(errors) < 5e-6


@pytest.mark.parametrize("tile", TILES)
def test_a_target_that_repeats_is_counted_each_time(case, outcome, tile):
    vectors, table, _ = case(5, 10)
    target = torch.tensor([7, 7, 1, 10, 7])
    ours = outcome(FullSoftmax(tile), vectors, table, target)
    theirs = outcome(reference, vectors, table, target)
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("tile", TILES)
def test_gradients_by_finite_differences(case, tile):
    vectors, table, target = case(4, 6)
    assert torch.autograd.gradcheck(lambda v, t: FullSoftmax(tile)(v, t, target), (vectors, table), nondet_tol=1e-12)


def test_a_frozen_table_has_no_gradient_and_changes_nothing_else(case, outcome):
    vectors, table, target = case(4, 6)
    _, expected, _ = outcome(FullSoftmax(), vectors, table, target)
    _, gradient, none = outcome(FullSoftmax(), vectors, table.requires_grad_(False), target)
    assert none is None
    assert torch.equal(gradient, expected)


@pytest.mark.parametrize("tile", TILES)
def test_logits_that_rise_from_item_to_item(case, outcome, tile):
    """What was added up, and kept, was far too small to be of use with what comes."""
    vectors, table, target = case(5, 40, dtype=torch.float32)
    with torch.no_grad():
        table[:, 0], vectors[:, 0] = torch.arange(41) * 8.0, torch.tensor([1.0, -1.0, 3.0, 0.0, 1.0])
    value, *gradients = outcome(FullSoftmax(tile), vectors, table, target)
    exact, *expected = outcome(reference, *(x.detach().double().requires_grad_() for x in (vectors, table)), target)
    assert value.item() == pytest.approx(exact.item())
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("targets", [1, 3, 8, 20])
def test_what_waits_in_the_memory_of_the_gradient_is_read_before_it_is_overwritten(case, outcome, targets, tile):
    value, *gradients = outcome(FullSoftmax(tile), *case(targets, 50, dtype=torch.float32))
    exact, *expected = outcome(reference, *case(targets, 50))
    with torch.autocast("cpu", dtype=torch.bfloat16):  # two to a place
        mixed = outcome(FullSoftmax(tile), *case(targets, 50, dtype=torch.float32))
    assert value.item() == pytest.approx(exact.item(), rel=1e-6)
    for ours, rounded, theirs in zip(gradients, mixed[1:], expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(rounded.double(), theirs, rtol=0.05, atol=0.02)


def test_what_the_gradient_has_memory_for_is_not_computed_again(case):
    passes = []
    for targets in (8, 16, 800):
        vectors, table, target = case(targets, 1000, dim=8)
        with FlopCounterMode(display=False) as products:
            FullSoftmax((64, 32))(vectors, table, target).backward()
        passes.append(products.get_total_flops() / (targets * 1000 * 8))
    assert passes == pytest.approx([6, 7, 8], abs=0.3)  # a row of 8 numbers holds an item's logits, half, or few


def test_a_graph_that_is_retained_has_the_same_gradient_again(case):
    vectors, table, target = case(4, 60)
    value = FullSoftmax((2, 5))(vectors, table, target)
    value.backward(retain_graph=True)
    first = vectors.grad.clone(), table.grad.clone()
    value.backward()
    for once, twice in zip(first, (vectors.grad, table.grad), strict=True):
        torch.testing.assert_close(2 * once, twice)


@pytest.mark.parametrize("tile", TILES)
def test_bfloat16_is_finite_and_near(case, outcome, tile):
    value, *gradients = outcome(FullSoftmax(tile), *case(6, 31, dim=8, dtype=torch.bfloat16))
    exact, *expected = outcome(reference, *case(6, 31, dim=8))
    assert value.item() == pytest.approx(exact.item(), rel=0.01)
    for ours, theirs in zip(gradients, expected, strict=True):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.double(), theirs, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("tile", TILES)
def test_huge_scores_neither_overflow_nor_vanish(case, outcome, tile):
    value, *gradients = outcome(FullSoftmax(tile), *case(6, 31, dtype=torch.float32, scale=100.0))
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_bfloat16_probabilities_add_up(case):
    """Shifted in bfloat16, logits near 20 would make each row's sum wrong by several per cent, always the same way."""
    vectors, table, target = case(64, 3000, dim=16, dtype=torch.float32, scale=1.6)
    vectors, table = torch.cat([vectors, torch.ones(64, 1)], 1), torch.cat([table, torch.ones(3001, 1)], 1)
    vectors, table = vectors.detach(), table.detach().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = FullSoftmax()(vectors, table, target)
    value.backward()
    mass = table.grad[1:, -1].sum()  # of the column that adds 1 to every logit: sum of probabilities less one
    assert mass.abs().item() < 0.003


def test_no_matrix_of_logits_is_held(case):
    vectors, table, target = case(64, 50_000, dim=2, dtype=torch.float32)
    with torch.profiler.profile(profile_memory=True) as profile:
        FullSoftmax((64, 500))(vectors, table, target).backward()
    largest = max(event.cpu_memory_usage for event in profile.events() if event.name.startswith("aten::"))
    assert largest <= table.numel() * 4 + 4096  # the table's own gradient; the logits would be 32 times that
