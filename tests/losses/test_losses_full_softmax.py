"""The loss is cross-entropy over the catalogue without padding; only its memory differs."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.losses import FullSoftmax


def case(targets, items, dim=3, dtype=torch.float64, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    vectors = (torch.randn(targets, dim, generator=generator, dtype=torch.float64) * scale).to(dtype)
    table = (torch.randn(items + 1, dim, generator=generator, dtype=torch.float64) * scale).to(dtype)
    target = torch.randint(1, items + 1, (targets,), generator=generator)
    return vectors.requires_grad_(), table.requires_grad_(), target


def value_and_gradients(loss, vectors, table, target):
    vectors.grad = table.grad = None
    value = loss(vectors, table, target)
    (3 * value).backward()  # a factor, so that the incoming gradient matters
    return value.detach(), vectors.grad, table.grad


def reference(vectors, table, target):
    return F.cross_entropy(vectors @ table[1:].T, target - 1)


def test_by_hand():
    vectors = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    table = torch.tensor([[9.0, 9.0], [0.0, 1.0], [0.0, 2.0], [0.0, 5.0], [0.0, 7.0]], dtype=torch.float64)
    for chunk in (1, 3, 4, 100):  # all four scores are 0: log 4, and padding's 9 has no part in it
        assert FullSoftmax(chunk)(vectors, table, torch.tensor([2])).item() == pytest.approx(1.3862943611198906)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.integers(1, 12), st.integers(1, 14), st.integers(0, 99), st.sampled_from([1.0, 30.0]))
def test_value_and_gradient_of_cross_entropy(targets, items, chunk, seed, scale):
    ours = value_and_gradients(FullSoftmax(chunk), *case(targets, items, seed=seed, scale=scale))
    theirs = value_and_gradients(reference, *case(targets, items, seed=seed, scale=scale))
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("chunk", [1, 4, 5, 9, 10, 11, 99])
def test_a_target_that_repeats_is_counted_each_time(chunk):
    vectors, table, _ = case(5, 10)
    target = torch.tensor([7, 7, 1, 10, 7])
    ours = value_and_gradients(FullSoftmax(chunk), vectors, table, target)
    theirs = value_and_gradients(reference, vectors, table, target)
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("chunk", [2, 100])
def test_padding_has_no_gradient(chunk):
    _, _, gradient = value_and_gradients(FullSoftmax(chunk), *case(4, 6))
    assert gradient[0].tolist() == [0.0] * 3
    assert gradient[1:].abs().sum() > 0


@pytest.mark.parametrize("chunk", [1, 4, 7])
def test_gradients_by_finite_differences(chunk):
    vectors, table, target = case(4, 6)
    assert torch.autograd.gradcheck(lambda v, t: FullSoftmax(chunk)(v, t, target), (vectors, table))


@pytest.mark.parametrize("chunk", [8, 100])
def test_bfloat16_is_finite_and_near(chunk):
    value, *gradients = value_and_gradients(FullSoftmax(chunk), *case(6, 31, dim=8, dtype=torch.bfloat16))
    exact, *expected = value_and_gradients(reference, *case(6, 31, dim=8))
    assert value.item() == pytest.approx(exact.item(), rel=0.01)
    for ours, theirs in zip(gradients, expected, strict=True):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.double(), theirs, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("chunk", [8, 100])
def test_huge_scores_neither_overflow_nor_vanish(chunk):
    value, *gradients = value_and_gradients(FullSoftmax(chunk), *case(6, 31, dtype=torch.float32, scale=100.0))
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("chunk", [8, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mixed_precision_trains_whatever_the_type_of_the_vectors(chunk, dtype):
    """Under autocast a layer norm hands on bfloat16 on one device and float32 on another; the table is float32."""
    vectors, _, target = case(6, 31, dim=8, dtype=dtype)
    _, table, _ = case(6, 31, dim=8, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = FullSoftmax(chunk)(vectors, table, target)
    value.backward()
    exact, *expected = value_and_gradients(reference, *case(6, 31, dim=8))
    assert value.item() == pytest.approx(exact.item(), rel=0.01)
    assert (vectors.grad.dtype, table.grad.dtype) == (dtype, torch.float32)
    torch.testing.assert_close(3 * vectors.grad.double(), expected[0], rtol=0.1, atol=0.05)
    torch.testing.assert_close(3 * table.grad.double(), expected[1], rtol=0.1, atol=0.05)


@pytest.mark.parametrize("chunk", [8, 100])
def test_a_batch_without_targets_is_no_step(chunk):
    """All clicks of a batch may be of items outside the vocabulary: a mean of nothing would poison every weight."""
    vectors, table, _ = case(0, 31)
    value = FullSoftmax(chunk)(vectors, table, torch.zeros(0, dtype=torch.int64))
    value.backward()
    assert value.item() == 0
    assert table.grad.abs().sum() == 0
