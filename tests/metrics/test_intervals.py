from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from recsys.errors import InputError
from recsys.metrics import Interval, mean_interval, mean_intervals, paired_interval
from recsys.metrics.intervals import _resampled_totals, mixed


def population(rng, users=60):
    """Requests of a user share an effect; the true mean is 0."""
    sizes = rng.integers(1, 8, users)
    clusters = np.repeat(np.arange(users), sizes)
    return rng.normal(size=users)[clusters] + 0.3 * rng.normal(size=len(clusters)), clusters


def test_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    by_user = by_request = 0
    for seed in range(400):
        values, clusters = population(rng)
        _, low, high = mean_interval(values, clusters, rounds=400, seed=seed)
        by_user += low <= 0 <= high
        _, low, high = mean_interval(values, np.arange(len(values)), rounds=400, seed=seed)
        by_request += low <= 0 <= high
    assert 0.90 < by_user / 400 < 0.98
    assert by_request / 400 < 0.8  # what resampling requests as if independent would claim to be 95 %


def test_agrees_with_normal_theory_where_each_request_is_its_own_user():
    values = np.random.default_rng(2).normal(size=4000)
    mean, low, high = mean_interval(values, np.arange(4000), rounds=4000)
    error = values.std() / np.sqrt(4000)
    assert mean == values.mean()
    assert (low - mean, high - mean) == pytest.approx((-1.96 * error, 1.96 * error), rel=0.06)


def test_identical_runs_differ_by_exactly_zero():
    values, clusters = population(np.random.default_rng(3))
    assert paired_interval(values, values.copy(), clusters) == Interval(0.0, 0.0, 0.0)


def test_pairing_sees_a_small_steady_difference():
    values, clusters = population(np.random.default_rng(4))
    mean, low, high = paired_interval(values + 0.01, values, clusters)
    assert (mean, low, high) == pytest.approx((0.01, 0.01, 0.01))


def test_same_bits_in_threads_and_whatever_the_users_are_called():
    values, clusters = population(np.random.default_rng(5))
    expected = mean_interval(values, clusters, seed=-7)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: mean_interval(values, clusters, seed=-7), range(8))) == {expected}
    assert mean_interval(values, clusters.astype(np.int32) * 10 - 500, seed=-7) == expected
    assert mean_interval(values, clusters, seed=8) != expected


def test_several_metrics_at_once_are_each_alone_bit_for_bit_in_any_number_of_threads():
    rng = np.random.default_rng(8)
    values, clusters = population(rng)
    some = np.where(rng.random(len(values)) < 0.3, np.nan, values)
    columns = {"a": values, "b": some, "c": rng.random(len(values)), "d": some * 2}
    for average in ("request", "user"):
        alone = {name: mean_interval(column, clusters, 500, 3, average=average) for name, column in columns.items()}
        for threads in (1, 2, 5):
            assert mean_intervals(columns, clusters, 500, 3, average=average, threads=threads) == alone
    assert list(mean_intervals(columns, clusters, 10)) == list(columns)
    assert mean_intervals({}, clusters) == {}


def test_a_round_draws_as_many_users_as_there_are_each_as_often_as_another():
    sums = np.eye(7)
    totals = _resampled_totals(sums, 6000, 0, 1)
    assert (totals.sum(axis=0) == 7).all()
    np.testing.assert_allclose(totals.mean(axis=1), 1, atol=0.05)
    np.testing.assert_allclose(totals.var(axis=1), 6 / 7, atol=0.06)


def test_averaged_over_users_each_counts_alike():
    values, clusters = [1.0, 1.0, 1.0, 0.0, 0.5, np.nan], [7, 7, 7, 3, 5, 5]
    assert mean_interval(values, clusters, average="user").mean == 0.5
    assert mean_interval(values, clusters).mean == 0.7
    one_each = mean_interval([1.0, 0.0, 0.5], [7, 3, 5])
    assert mean_interval(values, clusters, average="user") == one_each


def test_over_users_it_covers_their_mean_as_often_as_it_says():
    rng = np.random.default_rng(9)
    covered = 0
    for seed in range(300):
        effect = rng.normal(size=80)
        sizes = np.where(effect > 0.5, 9, 1)  # who likes what is recommended comes more often
        clusters = np.repeat(np.arange(80), sizes)
        values = effect[clusters] + rng.normal(size=len(clusters))
        _, low, high = mean_interval(values, clusters, 400, seed, average="user")
        covered += low <= 0 <= high
        assert mean_interval(values, clusters, 2).mean > 0.25  # which the mean over requests is not about
    assert 0.90 < covered / 300 < 0.98


def test_generator_is_splitmix64():
    # First outputs of the reference implementation for state 1234567.
    step, state = 0x9E3779B97F4A7C15, 1234567
    drawn = [int(mixed(np.uint64((state + (i + 1) * step) % 2**64))) for i in range(3)]
    assert drawn == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_requests_without_a_value_are_left_out():
    values, clusters = population(np.random.default_rng(6))
    padded, users = np.r_[np.nan, values, np.nan], np.r_[999, clusters, 0]
    assert mean_interval(padded, users) == mean_interval(values, clusters)


def test_a_wider_level_is_a_wider_interval():
    values, clusters = population(np.random.default_rng(7))
    narrow, wide = (mean_interval(values, clusters, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_one_user_or_none_has_no_interval():
    assert mean_interval([1.0, 2.0], [5, 5])[0] == 1.5
    assert np.isnan(mean_interval([1.0, 2.0], [5, 5])[1:]).all()
    assert np.isnan(mean_interval([], [])).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_interval([1.0], [1, 2]),
        lambda: mean_interval([1.0], [1.5]),
        lambda: mean_interval([[1.0]], [1]),
        lambda: mean_interval(["a"], [1]),
        lambda: mean_interval([1.0], [1], rounds=0),
        lambda: mean_interval([1.0], [1], level=95),
        lambda: mean_interval([1.0], [1], average="item"),
        lambda: mean_intervals({"a": [1.0, 2.0], "b": [1.0]}, [1, 2]),
        lambda: mean_intervals({"a": [1.0]}, [1], threads=0),
        lambda: paired_interval([1.0], [1.0, 2.0], [1]),
        lambda: paired_interval([1.0, np.nan], [1.0, 2.0], [1, 2]),
    ],
)
def test_bad_arguments(call):
    with pytest.raises(InputError):
        call()
