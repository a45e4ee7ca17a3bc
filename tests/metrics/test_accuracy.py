import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.metrics import METRICS, accuracy, compiled, evaluate, mean_metrics


def one(ranked, relevant, cutoff, metrics=METRICS):
    values = evaluate([ranked], [relevant], [cutoff], metrics)
    return {name.split("@")[0]: column[0] for name, column in values.items()}


def test_hits_at_places_1_and_3_of_three_relevant():
    got = one([7, 8, 9, 4], [9, 7, 5], cutoff=3)
    assert got == pytest.approx(
        {
            "hit": 1.0,
            "recall": 2 / 3,
            "precision": 2 / 3,
            "ndcg": (1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2),
            "mrr": 1.0,
            "map": (1 + 2 / 3) / 3,
        }
    )


def test_first_hit_just_inside_and_just_outside_the_cutoff():
    assert one([1, 2, 3], [3], cutoff=3)["mrr"] == pytest.approx(1 / 3)
    assert one([1, 2, 3], [3], cutoff=2) == dict.fromkeys(METRICS, 0.0)


def test_more_relevant_items_than_places_can_still_be_perfect():
    got = one([1, 2], [1, 2, 3, 4, 5], cutoff=2)
    assert got == pytest.approx({"hit": 1, "recall": 0.4, "precision": 1, "ndcg": 1, "mrr": 1, "map": 1})


def test_cutoff_beyond_the_depth_divides_by_the_cutoff():
    got = one([1, 2], [2], cutoff=10)
    assert got["precision"] == pytest.approx(0.1)
    assert got["recall"] == 1


def test_padding_fills_a_place_and_is_never_a_hit():
    assert one([5, 0, 0], [5, 6], cutoff=3)["precision"] == pytest.approx(1 / 3)
    assert one([0, 0, 0], [0], cutoff=3) == dict.fromkeys(METRICS, 0.0)


def test_an_id_listed_again_counts_once():
    assert one([5, 5, 6], [5, 6], cutoff=3)["recall"] == 1
    assert one([5, 5, 5], [5, 6], cutoff=3)["recall"] == 0.5


def test_an_id_relevant_twice_counts_once():
    assert one([5, 1], [5, 5], cutoff=2)["recall"] == 1


def test_each_unknown_relevant_item_counts():
    assert one([5, 1], [0, 5, 0, 0], cutoff=2)["recall"] == 0.25


def test_a_repeated_id_moves_only_its_own_request():
    values = evaluate([[3], [4], [5]], ([0, 3, 3, 5], [3, 9, 3, 6, 5]), [1], ["recall"])["recall@1"]
    np.testing.assert_array_equal(values, [0.5, np.nan, 0.5])


def test_nothing_relevant_has_no_value_and_does_not_enter_the_mean():
    values = evaluate([[1, 2], [1, 2]], [[], [2]], [2])
    assert all(np.isnan(column[0]) for column in values.values())
    assert mean_metrics(values)["mrr@2"] == 0.5
    assert np.isnan(mean_metrics({"mrr@2": np.array([np.nan])})["mrr@2"])


def test_no_requests():
    assert evaluate(np.zeros((0, 5), int), [], [5], ["ndcg"])["ndcg@5"].shape == (0,)


def test_keys_follow_the_order_asked_for():
    assert list(evaluate([[1]], [[1]], [10, 1, 10], ["map", "hit"])) == ["map@10", "map@1", "hit@10", "hit@1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cutoffs": [0]}, "cutoffs"),
        ({"cutoffs": []}, "cutoffs"),
        ({"metrics": ["ndgc"]}, "'ndcg'"),
        ({"ranked": [1, 2]}, "ranked"),
        ({"ranked": [[1, 2], [3]]}, "ranked"),
        ({"ranked": [[1.0]]}, "integers"),
        ({"ranked": [[-1, 2]]}, "negative"),
        ({"relevant": ([0], [1])}, "offsets"),
        ({"relevant": ([0, 2], [1])}, "offsets"),
        ({"relevant": ([1, 1], [1])}, "offsets"),
        ({"ranked": [[1], [1]], "relevant": ([0, 2, 1], [1])}, "offsets"),
        ({"relevant": [[1], [2]]}, "offsets"),
        ({"relevant": [[-1]]}, "negative"),
        ({"relevant": [["a"]]}, "integers"),
        ({"relevant": 1}, "tuple"),
        ({"compat": "recbol"}, "'recbole'"),
        ({"threads": 0}, "threads"),
    ],
)
def test_bad_arguments(change, message):
    good = {"ranked": [[1, 2]], "relevant": ([0, 1], [1]), "cutoffs": [1]}
    with pytest.raises(InputError, match=message):
        evaluate(**(good | change))


@st.composite
def problems(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    requests, depth, items = draw(st.integers(1, 5)), draw(st.integers(1, 12)), draw(st.integers(12, 30))
    ranked = np.stack([rng.permutation(items)[:depth] + 1 for _ in range(requests)])
    sets = [rng.permutation(items)[: rng.integers(1, 9)] + 1 for _ in range(requests)]
    return ranked, sets, rng


def csr(sets):
    return np.cumsum([0, *map(len, sets)]), np.concatenate(sets)


def plain(ranked, wanted, k):
    """The definitions, read aloud."""
    found = [item in wanted for item in ranked[:k]]
    places = [place for place, hit in enumerate(found, start=1) if hit]
    return {
        "hit": float(any(found)),
        "recall": sum(found) / len(wanted),
        "precision": sum(found) / k,
        "ndcg": sum(1 / np.log2(place + 1) for place in places)
        / sum(1 / np.log2(place + 1) for place in range(1, min(len(wanted), k) + 1)),
        "mrr": 1 / places[0] if places else 0.0,
        "map": sum(sum(found[:place]) / place for place in places) / min(len(wanted), k),
    }


@settings(deadline=None)  # the first example may compile
@given(problems(), st.integers(1, 15))
def test_equals_the_definitions(problem, k):
    ranked, sets, _ = problem
    got = evaluate(ranked, csr(sets), [k])
    for i, wanted in enumerate(sets):
        expected = plain(ranked[i].tolist(), set(wanted.tolist()), k)
        assert {name: got[f"{name}@{k}"][i] for name in METRICS} == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(problems())
def test_order_of_relevant_ids_does_not_matter(problem):
    ranked, sets, rng = problem
    got = evaluate(ranked, csr(sets), [1, 3, 10])
    shuffled = evaluate(ranked, csr([rng.permutation(np.r_[wanted, wanted]) for wanted in sets]), [1, 3, 10])
    for name in got:
        np.testing.assert_array_equal(got[name], shuffled[name])


@settings(deadline=None)
@given(problems())
def test_in_unit_interval_and_growing_with_the_cutoff(problem):
    ranked, sets, _ = problem
    cutoffs = range(1, 14)
    got = evaluate(ranked, csr(sets), cutoffs)
    assert all(((column >= 0) & (column <= 1 + 1e-12)).all() for column in got.values())
    for name in ("hit", "recall", "mrr"):
        assert (np.diff([got[f"{name}@{k}"] for k in cutoffs], axis=0) >= 0).all()


def test_any_kind_of_array_meets_one_compiled_kernel():
    ranked, offsets, relevant = np.array([[3, 1], [2, 3]]), np.array([0, 1, 2]), np.array([1, 2])
    expected = evaluate(ranked, (offsets, relevant), [2], ["mrr"])["mrr@2"]
    frozen = ranked.copy()
    frozen.flags.writeable = False
    for form in (frozen, np.asfortranarray(ranked), ranked.astype(np.int32), ranked.astype(np.uint16), ranked[:, ::1]):
        values = evaluate(form, (offsets.astype(np.int32), relevant.tolist()), np.array([2]), ["mrr"])["mrr@2"]
        np.testing.assert_array_equal(values, expected)
    assert len(accuracy._count.signatures) == 1


def test_compiles_uncached_where_nothing_can_be_cached(monkeypatch):
    def njit(function, nogil, cache=False):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return function

    monkeypatch.setattr(compiled.numba, "njit", njit)
    assert compiled.compiled(len) is len


def test_metrics_need_no_torch():
    code = "import sys, recsys.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
