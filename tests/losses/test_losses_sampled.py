"""The sampled losses are estimates of the exact one: unbiased sums, whatever the items were drawn by."""

from itertools import product
from math import exp, log

import pytest
import torch

from recsys.errors import InputError
from recsys.losses import FullSoftmax, InBatchSoftmax, SampledSoftmax
from recsys.losses.sampled_softmax import sampled_cross_entropy

POPULARITY = torch.tensor([0, 7, 1, 4, 2, 0])


def mean_gradient(loss, draws, vectors, table, target, outcome):
    found = [outcome(loss, vectors, table, target)[2] for _ in range(draws)]
    return torch.stack(found).mean(0)


def test_by_hand():
    vectors = torch.tensor([[1.0]])
    table = torch.tensor([[50.0], [0.0], [2.0], [3.0]])
    value = sampled_cross_entropy(
        vectors, table, torch.tensor([2]), torch.tensor([1, 3, 2]), torch.tensor([0.5, 1.5, 0.1])
    )
    # exp 2 against exp(0 - 0.5) and exp(3 - 1.5); the third negative is the target
    expected = log(1 + exp(-2.5) + exp(-0.5))
    assert value.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss", [SampledSoftmax(2, popular=0), SampledSoftmax(2), SampledSoftmax(2, 0.9, 1.0)])
def test_the_sum_over_negatives_is_unbiased(case, loss):
    """Over all pairs that can be drawn, each by its probability, the estimated sums average to the true one."""
    loss.prepare(POPULARITY)
    vectors, table, target = case(3, 5)
    q = torch.full((6,), 0.2, dtype=torch.float64) if loss.popular == 0 else loss._q
    scores = vectors @ table.T
    estimate = torch.zeros(3, dtype=torch.float64)
    for pair in product(range(1, 6), repeat=2):
        negative = torch.tensor(pair)
        for i in range(3):
            row = slice(i, i + 1)
            value = sampled_cross_entropy(vectors[row], table, target[row], negative, (2 * q[negative]).log())
            own = scores[i, target[i]]
            estimate[i] += q[negative].prod() * ((value + own).exp() - own.exp())
    exact = scores[:, 1:].exp().sum(1) - scores.gather(1, target[:, None])[:, 0].exp()
    torch.testing.assert_close(estimate, exact)


@pytest.mark.parametrize("loss", [SampledSoftmax(20_000, popular=0), SampledSoftmax(20_000)])
def test_many_negatives_are_the_full_softmax(case, outcome, loss):
    items = 30_000
    loss.prepare(torch.arange(items + 1) % 50)
    torch.manual_seed(0)
    vectors, table, target = case(4, items, scale=0.5)
    ours, theirs = outcome(loss, vectors, table, target), outcome(FullSoftmax(), vectors, table, target)
    assert ours[0].item() == pytest.approx(theirs[0].item(), abs=0.01)
    torch.testing.assert_close(ours[1], theirs[1], rtol=0, atol=0.02)


@pytest.mark.parametrize("loss", [SampledSoftmax(400, popular=0), SampledSoftmax(400), SampledSoftmax(400, 0.7, 1.0)])
def test_gradients_average_to_those_of_the_full_softmax(case, outcome, loss):
    popularity = (torch.arange(501) % 50) ** 3
    vectors, table, target = case(6, 500, scale=0.7)
    pushed = torch.ones(501, dtype=torch.bool).index_fill(0, target, False)  # what is in the loss as a negative alone
    loss.prepare(popularity)
    torch.manual_seed(0)

    def uncorrected(v, t, y):
        return sampled_cross_entropy(v, t, y, loss.draw(501)[0], torch.tensor(400 / 500).log())

    def error(f):
        average = mean_gradient(f, 300, vectors, table, target, outcome)[pushed]
        return ((average - exact).norm() / exact.norm()).item()

    exact = outcome(FullSoftmax(), vectors, table, target)[2][pushed]
    assert error(loss) < 0.12
    assert (error(uncorrected) > 0.4) == (loss.popular > 0)


def test_in_batch_negatives_average_to_the_full_softmax(case, outcome):
    """Targets are drawn by popularity; the first one is held fixed, so that its loss can be compared."""
    items, size = 40, 400
    vectors, table, _ = case(1, items, scale=0.7)
    popularity = torch.arange(items + 1).double()
    loss = InBatchSoftmax()
    loss.prepare(popularity)
    torch.manual_seed(0)
    exact = outcome(FullSoftmax(), vectors, table, torch.tensor([3]))
    found = []
    for _ in range(100):
        others = torch.multinomial(popularity, size - 1, replacement=True)
        target = torch.cat([torch.tensor([3]), others])
        log_count = loss._log_q[target] + torch.tensor(size - 1).log()
        found.append(sampled_cross_entropy(vectors, table, torch.tensor([3]), target, log_count).item())
    assert sum(found) / 100 == pytest.approx(exact[0].item(), abs=0.01)


def test_in_batch_by_hand():
    loss = InBatchSoftmax()
    loss.prepare(torch.tensor([0, 3, 1]))
    vectors, table = torch.tensor([[1.0], [2.0], [0.5]]), torch.tensor([[9.0], [1.0], [2.0]])
    target = torch.tensor([1, 2, 1])
    # two others each; q = 3/4 and 1/4, and where a target repeats it is no negative
    log = torch.tensor([[2 * 0.75, 2 * 0.25]]).log()
    one = torch.logsumexp(torch.tensor([1.0, 2 - log[0, 1]]), 0) - 1
    two = torch.logsumexp(torch.tensor([4.0, 2 - log[0, 0], 2 - log[0, 0]]), 0) - 4
    three = torch.logsumexp(torch.tensor([0.5, 1 - log[0, 1]]), 0) - 0.5
    assert loss(vectors, table, target).item() == pytest.approx((one + two + three).item() / 3, rel=1e-6)


def test_no_fewer_negatives_than_items_is_the_full_softmax(case, outcome):
    ours, theirs = (outcome(loss, *case(5, 31)) for loss in (SampledSoftmax(31), FullSoftmax()))
    for left, right in zip(ours, theirs, strict=True):
        assert torch.equal(left, right)


def test_items_are_drawn_as_often_as_their_probability_says():
    loss = SampledSoftmax(100_000, popular=0.6, power=0.5)
    loss.prepare(POPULARITY)
    torch.manual_seed(0)
    negative, q = loss.draw(6)
    share = torch.bincount(negative, minlength=6) / 100_000
    root = POPULARITY.double().sqrt()
    expected = 0.4 / 5 + 0.6 * root / root.sum()
    torch.testing.assert_close(share[1:].double(), expected[1:], rtol=0, atol=0.01)
    assert share[0] == 0
    torch.testing.assert_close(q, expected[negative])


def test_a_loss_that_needs_popularity_asks_for_it(case):
    with pytest.raises(InputError, match="prepare"):
        SampledSoftmax(5)(*case(3, 31))
    with pytest.raises(InputError, match="prepare"):
        InBatchSoftmax()(*case(3, 31))


@pytest.mark.parametrize("wrong", [{"negatives": 0}, {"popular": 1.0}, {"popular": -0.1}])
def test_a_number_out_of_range(wrong):
    with pytest.raises(InputError, match=str(*wrong)):
        SampledSoftmax(**wrong)
