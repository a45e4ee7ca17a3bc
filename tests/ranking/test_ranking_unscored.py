from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.ranking import random_k, shared_k, top_k

NOTHING = np.zeros(3, int), np.zeros(0, int)


def lists(rng, requests, items):
    offsets = np.cumsum([0, *rng.integers(0, 5, requests)])
    return offsets, rng.integers(-1, items + 2, offsets[-1])


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 40), st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_one_order_for_all_is_top_k_of_one_score_for_all(seed, requests, items, k):
    rng = np.random.default_rng(seed)
    score, exclude = rng.integers(0, 4, items), lists(rng, requests, items)
    order = 1 + np.argsort(-score[1:], kind="stable")
    expected, _ = top_k(torch.ones(requests, 1), torch.from_numpy(score).float()[:, None], k, exclude)
    np.testing.assert_array_equal(shared_k(order, k, exclude), expected)


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 40), st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_chance_draws_distinct_items_that_are_not_excluded_the_same_in_any_split(seed, requests, items, k):
    rng = np.random.default_rng(seed)
    offsets, seen = lists(rng, requests, items)
    number = rng.permutation(requests)
    drawn = random_k(items, k, (offsets, seen), seed, number)
    for row, (start, stop) in zip(drawn, pairwise(offsets), strict=True):
        possible = set(range(1, items)) - set(seen[start:stop].tolist())
        found = row[row > 0].tolist()
        assert set(found) <= possible
        assert len(found) == len(set(found)) == min(k, len(possible))
        assert not row[len(found) :].any()
    at = int(rng.integers(0, requests + 1))
    head = random_k(items, k, (offsets[: at + 1], seen[: offsets[at]]), seed, number[:at])
    tail = random_k(items, k, (offsets[at:] - offsets[at], seen[offsets[at] :]), seed, number[at:])
    np.testing.assert_array_equal(np.vstack([head, tail]), drawn)


def test_chance_favours_nobody():
    drawn = random_k(6, 1, (np.zeros(5001, int), np.zeros(0, int)), 0, np.arange(5000))
    assert np.bincount(drawn[:, 0], minlength=6)[1:] == pytest.approx(1000, abs=130)
    assert (drawn != random_k(6, 1, (np.zeros(5001, int), np.zeros(0, int)), 1, np.arange(5000))).mean() > 0.7


@pytest.mark.parametrize(
    "call", [lambda k: shared_k(np.array([1]), k, NOTHING), lambda k: random_k(3, k, NOTHING, 0, np.arange(2))]
)
def test_lists_have_at_least_one_place(call):
    with pytest.raises(InputError, match="k must be at least 1, not 0"):
        call(0)
