from itertools import product

import numpy as np
import pytest
from scipy.stats import wilcoxon

from recsys.errors import InputError
from recsys.metrics import holm, mean_interval, paired_interval, randomisation_test, wilcoxon_test
from recsys.metrics.significance import _beyond


def runs(rng, users=60, gain=0.0):
    """Two runs on the same requests; what a user is like moves both, and moves them more than `gain`."""
    clusters = np.repeat(np.arange(users), rng.integers(1, 6, users))
    ease = rng.normal(size=users)[clusters]
    taste = 0.2 * rng.normal(size=users)[clusters]  # one of the two suits some users more
    noise = 0.1 * rng.normal(size=(2, len(clusters)))
    return ease + gain + taste + noise[0], ease + noise[1], clusters


def test_identical_runs_are_certainly_not_different():
    a, _, clusters = runs(np.random.default_rng(0))
    assert randomisation_test(a, a.copy(), clusters) == 1
    assert wilcoxon_test(a, a.copy(), clusters) == 1
    assert paired_interval(a, a.copy(), clusters) == (0, 0, 0)


def test_few_users_are_exchanged_in_every_way():
    d = np.array([0.5, 1.0, -0.25, 2.0, 0.125])
    every = [abs(np.dot(signs, d)) >= abs(d.sum()) for signs in product((1, -1), repeat=5)]
    assert randomisation_test(d, np.zeros(5), np.arange(5)) == np.mean(every)
    # Drawn at random it comes to the same, but for the draws and the one that was observed.
    assert randomisation_test(d, np.zeros(5), np.arange(5), rounds=31) == pytest.approx(np.mean(every), abs=0.25)
    clusters = [0, 0, 1, 1]
    assert randomisation_test([1.0, 1.0, 1.0, 1.0], [0.0] * 4, clusters) == 0.5, "two users agree half of the time"


def test_signs_are_fair_and_independent_of_the_padding():
    sums = np.zeros(128)
    sums[[0, 1, 70]] = 1
    # Of three signs, all agree in a quarter of the turns.
    assert _beyond(sums, 3.0, 40_000, False, np.uint64(1)) == pytest.approx(10_000, abs=300)


def test_it_is_wrong_as_often_as_it_says_and_requests_as_if_independent_more_often():
    rng = np.random.default_rng(1)
    by_user = by_request = ranks = 0
    for seed in range(300):
        a, b, clusters = runs(rng)
        by_user += randomisation_test(a, b, clusters, 400, seed) < 0.05
        by_request += randomisation_test(a, b, np.arange(len(a)), 400, seed) < 0.05
        ranks += wilcoxon_test(a, b, clusters) < 0.05
    assert 0.02 < by_user / 300 < 0.085
    assert 0.02 < ranks / 300 < 0.085
    assert by_request / 300 > 0.12


def test_paired_tests_find_what_two_intervals_hide():
    a, b, clusters = runs(np.random.default_rng(2), gain=0.1)
    first, second = (mean_interval(run, clusters) for run in (a, b))
    assert first.low < second.mean < first.high
    assert second.low < first.mean < second.high
    assert paired_interval(a, b, clusters).low > 0
    assert randomisation_test(a, b, clusters) < 0.01
    assert wilcoxon_test(a, b, clusters) < 0.01


def test_equal_arguments_give_equal_p_and_another_seed_another():
    a, b, clusters = runs(np.random.default_rng(3), gain=0.02)
    p = randomisation_test(a, b, clusters, seed=-3)
    assert randomisation_test(a, b, clusters * 7 - 100, seed=-3) == p
    assert randomisation_test(b, a, clusters, seed=-3) == p
    assert randomisation_test(a, b, clusters, seed=4) != p


def test_averaged_over_users_each_user_counts_alike():
    # One user with many requests prefers b, nine with one each prefer a.
    difference = np.r_[np.full(50, -1.0), np.full(9, 1.0)]
    clusters = np.r_[np.zeros(50, int), np.arange(1, 10)]
    assert randomisation_test(difference, np.zeros(59), clusters) == 1, "50 of one user outweigh all others"
    assert randomisation_test(difference, np.zeros(59), clusters, average="user") == 22 / 1024


def test_requests_without_a_value_are_left_out():
    a, b, clusters = runs(np.random.default_rng(4), gain=0.05)
    padded = [np.r_[np.nan, run] for run in (a, b)]
    assert randomisation_test(*padded, np.r_[999, clusters]) == randomisation_test(a, b, clusters)
    assert wilcoxon_test(*padded, np.r_[999, clusters]) == wilcoxon_test(a, b, clusters)


@pytest.mark.parametrize("digits", [0, 1, 15])
@pytest.mark.parametrize("users", [50, 51, 300])
def test_wilcoxon_is_that_of_scipy(users, digits):
    means = (
        np.random.default_rng(users).normal(0.1, 1, users).round(digits)
    )  # the fewer digits, the more are alike, or 0
    expected = wilcoxon(means).pvalue
    assert wilcoxon_test(means, np.zeros(users), np.arange(users)) == pytest.approx(expected, rel=1e-12)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]).tolist() == [1, 1]
    assert holm([0.02]).tolist() == [0.02]
    assert holm([]).tolist() == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: holm([0.5, np.nan]),
        lambda: holm([1.5]),
        lambda: randomisation_test([1.0], [1.0, 2.0], [1]),
        lambda: randomisation_test([1.0, np.nan], [1.0, 2.0], [1, 2]),
        lambda: randomisation_test([1.0], [2.0], [1, 2]),
        lambda: randomisation_test([1.0], [2.0], [1], rounds=0),
        lambda: wilcoxon_test([1.0], [2.0], [1, 2]),
    ],
)
def test_bad_arguments(call):
    with pytest.raises(InputError):
        call()
