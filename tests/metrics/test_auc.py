from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from recsys.errors import InputError
from recsys.metrics import auc, gauc


def whole(scores, relevant):
    return float(auc(scores, [0, len(scores)], relevant)[0])


def test_recboles_own_cases():
    """`tests/metrics/test_loss_metrics.py` and `test_rank_metrics.py`, whose rank sums are scores here."""
    assert whole([0.1, 0.9, 0.2, 0.3], [1, 0, 1, 1]) == 0
    assert whole([0.7, 0.5, 0.6, 0.2], [0, 1, 1, 0]) == 2 / 4
    # Ranks of the relevant: 1 of 2; 1 and 3 of 3; 2, 3 and 4 of 5.
    scores, relevant = [2, 1, 3, 2, 1, 5, 4, 3, 2, 1], [1, 0, 1, 0, 1, 0, 1, 1, 1, 0]
    np.testing.assert_array_equal(auc(scores, [0, 2, 5, 10], relevant), [1, 1 / 2, 3 / 6])
    assert gauc(scores, [0, 2, 5, 10], relevant) == pytest.approx((1 * 1 + 2 / 2 + 3 * 3 / 6) / 6)


def test_requests_of_one_kind_only_have_no_value():
    got = auc([1, 2, 3, 3, 1], [0, 2, 2, 4, 5], [1, 1, 0, 0, 1])
    assert np.isnan(got).all()
    assert np.isnan(gauc([1, 2], [0, 2], [1, 1]))
    assert gauc([1, 2, 3], [0, 2, 3], [0, 1, 1]) == 1


def test_equal_scores_count_half():
    assert whole([1, 1, 1], [1, 0, 0]) == 0.5
    assert whole([2, 1, 1], [0, 1, 0]) == 0.25


def test_weights():
    scores, offsets, relevant = [2, 1, 1, 2, 3], [0, 2, 5], [1, 0, 1, 1, 0]
    assert gauc(scores, offsets, relevant) == pytest.approx((1 * 1 + 2 * 0) / 3)
    assert gauc(scores, offsets, relevant, weights="candidates") == pytest.approx((2 * 1 + 3 * 0) / 5)


@given(st.integers(0, 2**32 - 1))
def test_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    scores, relevant = rng.integers(0, 9, 30) / 3, rng.integers(0, 2, 30)
    relevant[:2] = 0, 1
    assert whole(scores, relevant) == pytest.approx(roc_auc_score(relevant, scores), abs=1e-12)


@pytest.mark.parametrize("name", ["AUC", "GAUC"])
def test_recbole(name, monkeypatch):
    peers = pytest.importorskip("recbole.evaluator.metrics")
    monkeypatch.setattr(np, "bool", bool, raising=False)
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 9, 200)
    offsets, scores = np.r_[0, np.cumsum(sizes)], rng.permutation(sizes.sum()).astype(float)
    relevant = rng.integers(0, 2, len(scores))
    metric = getattr(peers, name)({"metric_decimal_place": 4})
    if name == "AUC":
        assert whole(scores, relevant) == pytest.approx(metric.metric_info(scores, relevant), abs=1e-12)
        return
    parts = [slice(a, b) for a, b in pairwise(offsets)]
    ranks = [np.argsort(np.argsort(-scores[part])) + 1 for part in parts]
    rank_sums = np.array([(r * relevant[part]).sum() for r, part in zip(ranks, parts, strict=True)])
    positives = np.array([relevant[part].sum() for part in parts])
    assert gauc(scores, offsets, relevant) == pytest.approx(metric.metric_info(rank_sums, sizes, positives), abs=1e-12)


def test_any_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(4)
    scores, offsets = rng.normal(size=39_000), np.arange(0, 39_001, 3)
    relevant = rng.integers(0, 2, 39_000)
    np.testing.assert_array_equal(*(auc(scores, offsets, relevant, threads) for threads in (1, 3)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auc([1, np.nan], [0, 2], [0, 1]), "candidate 1"),
        (lambda: auc([1, 2], [0, 2], [0, 2]), "true or false"),
        (lambda: auc([1, 2], [0, 2], [1]), "true or false"),
        (lambda: auc([1, 2], [0, 1], [0, 1]), "offsets"),
        (lambda: gauc([1, 2], [0, 2], [0, 1], weights="clicks"), "weights"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(InputError, match=message):
        call()
