import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.metrics import intra_list_distance, miscalibration


def test_distances_of_right_angles_and_opposites():
    vectors = np.array([[0, 0], [1, 0], [2, 0], [0, 3], [-1, 0]], dtype=np.float32)
    got = intra_list_distance([[1, 2, 3], [1, 4, 0], [1, 0, 0]], vectors, [2, 3])
    assert got["distance@2"] == pytest.approx([0, 2, np.nan], abs=1e-7, nan_ok=True)
    assert got["distance@3"] == pytest.approx([(0 + 1 + 1) / 3, 2, np.nan], abs=1e-7, nan_ok=True)


def test_an_item_without_a_vector_is_far_from_all():
    assert intra_list_distance([[1, 2]], np.array([[9.0], [0.0], [1.0]]), [2])["distance@2"] == [1]


@given(st.integers(0, 2**32 - 1))
def test_equals_the_mean_over_pairs(seed):
    rng = np.random.default_rng(seed)
    vectors, depth = rng.normal(size=(13, 4)), int(rng.integers(2, 9))
    ranked = np.stack([rng.permutation(12)[:depth] + 1 for _ in range(3)])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    got = intra_list_distance(ranked, vectors, range(2, depth + 1))
    for k in range(2, depth + 1):
        for request, row in enumerate(ranked):
            pairs = [1 - unit[row[i]] @ unit[row[j]] for i in range(k) for j in range(i)]
            assert got[f"distance@{k}"][request] == pytest.approx(np.mean(pairs), abs=1e-12)


def test_distances_of_items_by_their_kinds():
    kinds = [[0, 0], [1, 2], [1, 0], [3, 0], [0, 0]]
    got = intra_list_distance([[1, 2, 3], [2, 2, 4], [4, 4, 0], [1, 0, 0]], kinds, [2, 3])
    assert got["distance@2"] == pytest.approx([1 - np.sqrt(0.5), 0, 1, np.nan], nan_ok=True)
    assert got["distance@3"] == pytest.approx([(3 - np.sqrt(0.5)) / 3, 2 / 3, 1, np.nan], nan_ok=True)


@given(st.integers(0, 2**32 - 1))
def test_kinds_are_vectors_of_zeros_and_ones(seed):
    rng = np.random.default_rng(seed)
    vectors = (rng.random((13, 6)) < 0.3).astype(float)
    kinds = np.where(vectors > 0, np.arange(1, 7), 0)
    ranked = np.stack([rng.permutation(12)[:5] + 1 for _ in range(3)])
    by_vector, by_kind = (intra_list_distance(ranked, each, [2, 5]) for each in (vectors, kinds))
    for name in by_vector:
        assert by_kind[name] == pytest.approx(by_vector[name], abs=1e-12)


def test_an_item_of_two_kinds_is_half_of_each():
    kinds = [[0, 0], [1, 2], [1, 0], [0, 2]]
    assert miscalibration([[1]], kinds, [[2, 3]], [1])["miscalibration@1"] == pytest.approx([0], abs=1e-12)
    got = miscalibration([[2, 0]], kinds, [[1]], [2])["miscalibration@2"]
    assert got == pytest.approx([0.5 * np.log(0.5 / (0.99 + 0.005)) + 0.5 * np.log(0.5 / 0.005)])


def test_calibrated_lists_and_a_list_that_lacks_a_kind():
    kinds = [0, 1, 1, 2, 2]
    got = miscalibration([[1, 3], [1, 2]], kinds, [[2, 4], [2, 4]], [2])["miscalibration@2"]
    lacking = 0.5 * np.log(0.5 / (0.99 + 0.005)) + 0.5 * np.log(0.5 / 0.005)
    assert got == pytest.approx([0, lacking], abs=1e-12)


def test_items_of_unknown_kind_are_left_out():
    kinds = [7, 1, 2, 0]
    with_unknown = miscalibration([[1, 3, 0]], kinds, [[1, 2, 3, 3]], [3])
    assert with_unknown["miscalibration@3"] == miscalibration([[1]], kinds, [[2, 1]], [1])["miscalibration@1"]


def test_no_kind_in_the_history_and_no_item_in_the_list():
    got = miscalibration([[1, 0], [0, 0], [3, 0]], [0, 1, 2, 0], [[3], [1], [1]], [2])["miscalibration@2"]
    assert got == pytest.approx([np.nan, np.nan, np.log(100)], nan_ok=True)


@given(st.integers(0, 2**32 - 1))
def test_equals_the_divergence(seed):
    rng = np.random.default_rng(seed)
    kinds = np.r_[0, rng.integers(1, 4, 10)]
    ranked = np.stack([rng.permutation(10)[:5] + 1 for _ in range(3)])
    histories = [rng.integers(1, 11, rng.integers(1, 7)) for _ in range(3)]
    got = miscalibration(ranked, kinds, histories, [1, 3, 5], smoothing=0.1)
    for k in (1, 3, 5):
        for request in range(3):
            p = np.bincount(kinds[histories[request]], minlength=4) / len(histories[request])
            q = 0.9 * np.bincount(kinds[ranked[request, :k]], minlength=4) / k + 0.1 * p
            expected = (p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum()
            assert got[f"miscalibration@{k}"][request] == pytest.approx(expected, abs=1e-12)


def test_any_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(2)
    ranked, vectors = rng.integers(0, 50, (13_000, 4)), rng.normal(size=(50, 8)).astype(np.float32)
    kinds, histories = np.arange(50) % 7, (np.arange(13_001), rng.integers(1, 50, 13_000))
    for call in (
        lambda threads: intra_list_distance(ranked, vectors, [2, 4], threads),
        lambda threads: miscalibration(ranked, kinds, histories, [2, 4], threads=threads),
    ):
        one, three = call(1), call(3)
        for name in one:
            np.testing.assert_array_equal(one[name], three[name])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intra_list_distance([[2]], np.zeros((2, 3)), [1]), "2"),
        (lambda: intra_list_distance([[1]], np.zeros((2, 3), bool), [1]), "floats"),
        (lambda: intra_list_distance([[1]], np.full((2, 3), np.nan), [1]), "finite"),
        (lambda: intra_list_distance([[1]], np.full((2, 3), np.inf), [1]), "finite"),
        (lambda: miscalibration([[1]], [0, 1], [[2]], [1]), "histories"),
        (lambda: miscalibration([[1]], [0, -1], [[1]], [1]), "-1"),
        (lambda: miscalibration([[1]], [0, 1], [[1], [1]], [1]), "offsets"),
        (lambda: miscalibration([[1]], [0, 1], [[1]], [1], smoothing=1.0), "smoothing"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(InputError, match=message):
        call()
