import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.metrics import popularity

LISTS = [[5, 7, 3], [4, 5, 2], [2, 3, 5], [1, 4, 6], [5, 3, 7]]
COUNTS = [0, 0, 1, 2, 3, 4, 5, 0]  # items 1 … 7


def test_recboles_own_case():
    """`tests/metrics/test_topk_metrics.py`; the item that occurs least there does occur."""
    got = popularity(LISTS, COUNTS, [1, 2, 3])
    expected = [[4, 4 / 2, 6 / 3], [3, 7 / 2, 8 / 3], [1, 3 / 2, 7 / 3], [0, 3 / 2, 8 / 3], [4, 6 / 2, 6 / 3]]
    np.testing.assert_array_equal(np.stack([got[f"popularity@{k}"] for k in (1, 2, 3)], axis=1), expected)
    tail = popularity(LISTS, [0, 1, 2, 3, 4, 5, 6, 0], [1, 2, 3], compat="recbole")
    expected = [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1 / 2, 1 / 3], [0, 0, 0]]
    np.testing.assert_array_equal(np.stack([tail[f"tail@{k}"] for k in (1, 2, 3)], axis=1), expected)


def test_the_short_head_holds_four_fifths():
    # Of 100 occurrences 80 fall on items 1 and 2; 3 and 4 are alike, so that neither is in the head.
    counts = [0, 50, 30, 10, 10]
    assert popularity([[1, 2, 3, 4]], counts, [2, 3, 4])["tail@4"] == [0.5]
    assert popularity([[1, 2, 3, 4]], counts, [4], head=0.81)["tail@4"] == [0]
    assert popularity([[1, 2, 3, 4]], counts, [4], head=0.5)["tail@4"] == [0.75]


def test_novelty_in_bits():
    counts = [99, 4, 3, 1, 0]
    got = popularity([[1, 4], [3, 0]], counts, [1, 2])
    assert got["novelty@1"].tolist() == [1, 3]
    assert got["novelty@2"].tolist() == [2, 3]  # what does not occur is taken to occur once
    assert popularity([[1, 4]], counts, [2], total=16)["novelty@2"] == [3]


def test_the_logarithm_of_a_product_of_many_counts():
    counts = np.r_[0, np.full(500, 10**9)]
    got = popularity([np.arange(1, 501)], counts, [500])["novelty@500"]
    assert got == pytest.approx(np.log2(500), abs=1e-12)


def test_an_empty_list_has_no_value():
    got = popularity([[0, 0], [0, 1]], [0, 5], [1, 2])
    assert all(np.isnan(column[0]) for column in got.values())
    assert np.isnan(got["popularity@1"][1])
    assert got["popularity@2"][1] == 5


@given(st.integers(0, 2**32 - 1))
def test_every_cutoff_equals_the_definitions(seed):
    rng = np.random.default_rng(seed)
    items, depth = 15, int(rng.integers(1, 9))
    counts = rng.integers(0, 6, items + 1) * rng.integers(1, 1000)
    counts[1] += 1
    ranked = rng.integers(0, items + 1, (4, depth))
    ordered = np.sort(counts[1:])[::-1]
    reached = np.cumsum(ordered) >= 0.8 * ordered.sum()
    in_head = counts >= ordered[np.argmax(reached)]
    got = popularity(ranked, counts, range(1, depth + 1))
    for k in range(1, depth + 1):
        for request, row in enumerate(ranked):
            listed = row[:k][row[:k] > 0]
            expected = {
                "popularity": counts[listed].mean() if len(listed) else np.nan,
                "tail": 1 - in_head[listed].mean() if len(listed) else np.nan,
                "novelty": -np.log2(np.maximum(counts[listed], 1) / counts[1:].sum()).mean() if len(listed) else np.nan,
            }
            ours = {name: got[f"{name}@{k}"][request] for name in expected}
            assert ours == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_recbole():
    peers = pytest.importorskip("recbole.evaluator.metrics")
    rng = np.random.default_rng(1)
    counts = np.r_[0, rng.integers(0, 5, 300)]
    ranked = rng.integers(1, 301, (50, 10))
    counter = {item: count for item, count in enumerate(counts.tolist()) if count}
    settings = {"metric_decimal_place": 4, "topk": [10], "tail_ratio": 0.1}
    average, tail = peers.AveragePopularity(settings), peers.TailPercentage(settings)
    ours = popularity(ranked, counts, range(1, 11), compat="recbole")
    for name, peer in (
        ("popularity", average.metric_info(average.get_pop(ranked, counter))),
        ("tail", tail.metric_info(tail.get_tail(ranked, counter))),
    ):
        np.testing.assert_allclose(np.stack([ours[f"{name}@{k}"] for k in range(1, 11)], axis=1), peer, atol=1e-12)


def test_any_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(2)
    ranked, counts = rng.integers(0, 100, (20_000, 5)), rng.integers(0, 9, 101)
    one, four = (popularity(ranked, counts, [1, 5], threads=threads) for threads in (1, 4))
    for name in one:
        np.testing.assert_array_equal(one[name], four[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ranked": [[3]]}, "3"),
        ({"counts": [0, -1, 2]}, "-1"),
        ({"counts": [0, 0, 0]}, "no occurrence"),
        ({"counts": [0, 1.5, 2]}, "integers"),
        ({"head": 80}, "head"),
        ({"cutoffs": []}, "cutoffs"),
    ],
)
def test_bad_arguments(change, message):
    good = {"ranked": [[1, 2]], "counts": [0, 1, 2], "cutoffs": [1]}
    with pytest.raises(InputError, match=message):
        popularity(**(good | change))
