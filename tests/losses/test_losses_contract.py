"""What every loss keeps, whatever it computes."""

import copy

import pytest
import torch

from recsys.losses import BCE, GBCE, FullSoftmax, InBatchSoftmax, Loss, SampledSoftmax, Softmax

ITEMS = 31
POPULARITY = torch.arange(ITEMS + 1)
LOSSES = [
    FullSoftmax(),
    FullSoftmax((4, 8)),
    SampledSoftmax(8),
    SampledSoftmax(8, popular=0),
    SampledSoftmax(ITEMS),
    InBatchSoftmax(),
    BCE(),
    GBCE(5),
    Softmax(),
    Softmax(exact_up_to=1),
]


@pytest.fixture(params=LOSSES, ids=lambda loss: f"{type(loss).__name__}-{LOSSES.index(loss)}")
def loss(request) -> Loss:
    """Ready for use, its draws those of seed 0."""
    prepared = copy.deepcopy(request.param)
    prepared.prepare(POPULARITY)
    torch.manual_seed(0)
    return prepared


def seeded(loss):
    """The same draws at every call."""

    def call(vectors, table, target):
        torch.manual_seed(1)
        return loss(vectors, table, target)

    return call


def test_gradients_by_finite_differences(case, loss):
    vectors, table, target = case(5, ITEMS)
    assert torch.autograd.gradcheck(lambda v, t: seeded(loss)(v, t, target), (vectors, table), nondet_tol=1e-12)


def test_padding_is_never_a_negative(case, outcome, loss):
    vectors, table, target = case(40, ITEMS)
    value, _, gradient = outcome(seeded(loss), vectors, table, target)
    assert gradient[0].tolist() == [0.0] * 3
    assert gradient[1:].abs().sum() > 0
    with torch.no_grad():
        table[0] = 1e6
    assert torch.equal(outcome(seeded(loss), vectors, table, target)[0], value)


def test_a_batch_without_targets_is_no_step(case, outcome, loss):
    """All clicks of a batch may be of items outside the vocabulary: a mean of nothing would poison every weight."""
    vectors, table, _ = case(0, ITEMS)
    value, gradient, of_table = outcome(loss, vectors, table, torch.zeros(0, dtype=torch.int64))
    assert value.item() == 0
    assert gradient.shape == (0, 3)
    assert of_table.abs().sum() == 0


def test_a_single_target_has_a_finite_loss(case, outcome, loss):
    """In a batch of one, nothing but its target could be its negative."""
    value, *gradients = outcome(loss, *case(1, ITEMS))
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_huge_scores_neither_overflow_nor_vanish(case, outcome, loss):
    value, *gradients = outcome(loss, *case(6, ITEMS, dtype=torch.float32, scale=100.0))
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mixed_precision_trains_whatever_the_type_of_the_vectors(case, outcome, loss, dtype):
    """Under autocast a layer norm hands on bfloat16 on one device and float32 on another; the table is float32."""
    vectors, _, target = case(6, ITEMS, dim=8, dtype=dtype)
    _, table, _ = case(6, ITEMS, dim=8, dtype=torch.float32)

    def mixed(*tensors):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return seeded(loss)(*tensors)

    value, *gradients = outcome(mixed, vectors, table, target)
    exact, *expected = outcome(seeded(loss), *case(6, ITEMS, dim=8))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=0.01)
    assert [gradient.dtype for gradient in gradients] == [dtype, torch.float32]
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0.1, atol=0.05)


def test_a_seed_repeats_the_draws(case, loss):
    vectors, table, target = case(6, ITEMS)
    assert torch.equal(seeded(loss)(vectors, table, target), seeded(loss)(vectors, table, target))


def test_nothing_is_added_to_checkpoints(loss):
    assert loss.state_dict() == {}
