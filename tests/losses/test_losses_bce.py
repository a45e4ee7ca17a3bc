"""Binary cross-entropy and its generalisation, against the plain formulas."""

import pytest
import torch
import torch.nn.functional as F

from recsys.errors import InputError
from recsys.losses import BCE, GBCE
from recsys.losses.bce import binary_cross_entropy, other_items


def plain(vectors, table, target, negative, exponent):
    """The formula of gSASRec, term by term."""
    positive = torch.sigmoid((vectors * table[target]).sum(1)) ** exponent
    others = torch.sigmoid((vectors[:, None] * table[negative]).sum(2))
    terms = torch.cat([positive.log()[:, None], (1 - others).log()], 1)
    return -terms.sum(1).mean() / terms.shape[1]


@pytest.mark.parametrize("exponent", [1.0, 0.3])
@pytest.mark.parametrize("negatives", [1, 4])
def test_value_and_gradient_of_the_formula(case, outcome, exponent, negatives):
    torch.manual_seed(0)
    negative = torch.randint(1, 8, (5, negatives))
    ours, theirs = (
        outcome(lambda v, t, y, f=f: f(v, t, y, negative, exponent), *case(5, 7)) for f in (binary_cross_entropy, plain)
    )
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-12)


def test_one_negative_is_torchs_binary_cross_entropy(case):
    vectors, table, target = case(5, 7)
    torch.manual_seed(0)
    value = BCE()(vectors, table, target)
    torch.manual_seed(0)
    negative = other_items(target, 1, 8)[:, 0]
    logits = torch.cat([(vectors * table[target]).sum(1), (vectors * table[negative]).sum(1)])
    labels = torch.tensor([1.0] * 5 + [0.0] * 5, dtype=torch.float64)
    torch.testing.assert_close(value, F.binary_cross_entropy_with_logits(logits, labels))


def test_beta_of_the_paper():
    rate, t = 5 / 19, 0.75  # 20 items
    assert GBCE(5).exponent(21) == pytest.approx(rate * (t * (1 - 1 / rate) + 1 / rate))
    assert GBCE(5, calibration=1).exponent(21) == pytest.approx(rate)
    assert GBCE(5, calibration=0).exponent(21) == BCE().exponent(21) == 1


def test_calibration_makes_scores_probabilities():
    """With t = 1, the loss of one context whose clicks are 60, 30 and 10 % is least where sigmoids are these shares.

    Its expectation over draws, which are of one negative from the two other items, is taken exactly.
    """
    share = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    score = torch.zeros(3, 1, dtype=torch.float64, requires_grad=True)
    exponent = GBCE(1, calibration=1).exponent(4)
    one = torch.ones(1, 1, dtype=torch.float64)
    optimizer = torch.optim.LBFGS([score], max_iter=100, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        table = torch.cat([torch.zeros(1, 1, dtype=torch.float64), score])
        total = sum(
            share[i - 1] / 2 * binary_cross_entropy(one, table, torch.tensor([i]), torch.tensor([[j]]), exponent)
            for i in (1, 2, 3)
            for j in (1, 2, 3)
            if i != j
        )
        total.backward()
        return total

    optimizer.step(closure)
    torch.testing.assert_close(torch.sigmoid(score[:, 0]), share, atol=1e-5, rtol=0)


def test_negatives_are_uniform_over_the_other_items():
    torch.manual_seed(0)
    drawn = other_items(torch.tensor([1, 3, 4]), 30_000, 5)
    for row, others in zip(drawn, ([2, 3, 4], [1, 2, 4], [1, 2, 3]), strict=True):
        items, counts = row.unique(return_counts=True)
        assert items.tolist() == others
        assert (counts / 10_000 - 1).abs().max() < 0.05


def test_a_catalogue_of_one_item_has_no_negative(case):
    with pytest.raises(InputError, match="at least 2 items"):
        BCE()(*case(2, 1))


def test_a_number_out_of_range():
    with pytest.raises(InputError, match="GBCE: negatives 0"):
        GBCE(0)
    with pytest.raises(InputError, match="calibration"):
        GBCE(calibration=1.5)
