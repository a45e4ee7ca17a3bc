"""The forms in which lists and relevant items may come."""

import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.metrics import ALL_METRICS, evaluate, mean_metrics

FRAMES = [pd.DataFrame, pl.DataFrame, dict]
# Lists [9, 7, 8], [8] and [], of which 7 and 9, 5, and 1 are relevant.
RECOMMENDED = {"user_id": [20, 10, 20, 20], "item_id": [7, 8, 8, 9], "score": [0.5, 1.0, 0.1, 0.9]}
RELEVANT = {"user_id": [20, 30, 20, 10], "item_id": [9, 1, 7, 5]}
ARRAYS = [[8, 0, 0], [9, 7, 8], [0, 0, 0]], [[5], [7, 9], [1]]


def check(got, key="user_id", keys=(10, 20, 30)):
    assert next(iter(got)) == key
    np.testing.assert_array_equal(got[key], keys)
    for name, column in evaluate(*ARRAYS, [1, 3], ALL_METRICS).items():
        np.testing.assert_array_equal(got[name], column, name)


@pytest.mark.parametrize("frame", FRAMES)
def test_frames_with_scores(frame):
    check(evaluate(frame(RECOMMENDED), frame(RELEVANT), [1, 3], ALL_METRICS))


@pytest.mark.parametrize("frame", FRAMES)
def test_frames_with_ranks(frame):
    ranks = {"user_id": [20, 10, 20, 20], "item_id": [7, 8, 8, 9], "rank": [2, 1, 3, 1]}
    check(evaluate(frame(ranks), frame(RELEVANT), [1, 3], ALL_METRICS))


@pytest.mark.parametrize("frame", FRAMES)
def test_requests_and_items_may_be_strings(frame):
    tables = [
        {
            "request_id": [f"r{each}" for each in table["user_id"]],
            "item_id": [f"note {each}" for each in table["item_id"]],
        }
        for table in (RECOMMENDED, RELEVANT)
    ]
    tables[0]["score"] = RECOMMENDED["score"]
    check(evaluate(*map(frame, tables), [1, 3], ALL_METRICS), "request_id", ["r10", "r20", "r30"])


def test_a_request_id_comes_before_a_user_id():
    recommended = {"user_id": [1, 1], "request_id": [7, 8], "item_id": [1, 1], "rank": [1, 1]}
    got = evaluate(recommended, {"user_id": [1, 1], "request_id": [7, 8], "item_id": [1, 2]}, [1], ["hit"])
    assert (got["request_id"].tolist(), got["hit@1"].tolist()) == ([7, 8], [1, 0])


def test_a_rank_is_a_place():
    got = evaluate({"user_id": [1], "item_id": [5], "rank": [3]}, {"user_id": [1], "item_id": [5]}, [2, 3], ["mrr"])
    assert (got["mrr@2"][0], got["mrr@3"][0]) == (0, 1 / 3)


def test_recommendations_without_anything_relevant_have_no_value():
    got = evaluate({"user_id": [1, 2], "item_id": [5, 5], "rank": [1, 1]}, {"user_id": [1], "item_id": [5]}, [1])
    assert np.isnan(got["ndcg@1"][1])
    assert mean_metrics(got)["ndcg@1"] == 1
    assert "user_id" not in mean_metrics(got)


def test_an_empty_frame_recommends_nothing():
    none = pd.DataFrame({"user_id": [], "item_id": [], "rank": []}, dtype=np.int64)
    got = evaluate(none, {"user_id": [1], "item_id": [5]}, [1], ["hit", "precision"])
    assert (got["hit@1"].tolist(), got["precision@1"].tolist()) == ([0], [0])
    nobody = evaluate(none, pd.DataFrame({"user_id": [], "item_id": []}), [1], ["hit"])
    assert nobody["hit@1"].shape == (0,)


@given(
    st.dictionaries(st.integers(-3, 9), st.lists(st.integers(-5, 5), unique=True, max_size=4), max_size=5),
    st.dictionaries(st.integers(-3, 9), st.lists(st.integers(-5, 5), max_size=3), min_size=1, max_size=5),
    st.sampled_from(["rank", "score"]),
    st.sampled_from([np.int64, np.int32, str]),
    st.integers(0, 9),
)
def test_tables_in_order_are_read_as_those_in_any_other(listed, wanted, by, ids, seed):
    def table(lists):
        rows = [(request, item, place) for request in sorted(lists) for place, item in enumerate(lists[request])]
        request, item, place = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        column = place + 1 if by == "rank" else -place / 7
        return {"request_id": request.astype(ids), "item_id": item.astype(ids), by: column}

    tables = table(listed), table(wanted)
    orders = [np.random.default_rng(seed).permutation(len(each["item_id"])) for each in tables]
    mixed = [{n: c[order] for n, c in each.items()} for each, order in zip(tables, orders, strict=True)]
    got, expected = (evaluate(*each, [1, 2, 5], ALL_METRICS) for each in (tables, mixed))
    assert got.keys() == expected.keys()
    for name, column in expected.items():
        np.testing.assert_array_equal(got[name], column, name)
    # Against the requests one by one.
    for i, request in enumerate(got["request_id"].tolist()):
        names = [item + 9 for item in listed.get(int(request), [])], [item + 9 for item in wanted.get(int(request), [])]
        alone = evaluate([names[0] or [0]], [names[1]], [1, 2, 5], ALL_METRICS)
        for name, column in alone.items():
            np.testing.assert_array_equal(got[name][i], column[0], name)


@pytest.mark.parametrize("ids", [[2**63 - 1, -(2**63), 0], [2**62, 1, -7]])
def test_ids_may_be_as_large_as_integers_are(ids):
    got = evaluate({"user_id": [1, 1], "item_id": ids[:2], "rank": [1, 2]}, {"user_id": [1], "item_id": ids[1:2]}, [2])
    assert got["mrr@2"] == [0.5]


def test_equal_scores_do_not_keep_the_order_of_the_rows():
    users, places = 2000, 10
    listed = {
        "user_id": np.repeat(np.arange(users), places),
        "item_id": np.tile(np.arange(places), users),
        "score": np.zeros(users * places),
    }
    first_is_relevant = {"user_id": np.arange(users), "item_id": np.zeros(users, int)}
    got = evaluate(listed, first_is_relevant, [1, 5], ["hit"])
    assert got["hit@1"].mean() == pytest.approx(0.1, abs=0.03)
    assert got["hit@5"].mean() == pytest.approx(0.5, abs=0.05)
    again = evaluate(listed, first_is_relevant, [1, 5], ["hit"])
    np.testing.assert_array_equal(got["hit@5"], again["hit@5"])


def test_recboles_matrix():
    matrix = np.array([[0, 1, 1, 3], [0, 0, 0, 2], [1, 0, 0, 1], [0, 0, 0, 0]])
    got = evaluate(matrix, None, [1, 3, 5], ALL_METRICS)
    expected = evaluate(
        [[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]], [[2, 3, 9], [8, 9], [1], []], [1, 3, 5], ALL_METRICS
    )
    for name, column in expected.items():
        np.testing.assert_array_equal(got[name], column, name)


def test_recboles_matrix_as_a_tensor():
    torch = pytest.importorskip("torch")
    matrix = torch.tensor([[0, 1, 1, 3]], dtype=torch.int32)
    assert evaluate(matrix, None, [3], ["recall"])["recall@3"] == [2 / 3]


def test_sets_of_relevant_items():
    got = evaluate([[1, 2], [3, 4]], [{2, 9}, frozenset({3})], [2], ["recall"])
    assert got["recall@2"].tolist() == [0.5, 1]


@pytest.mark.parametrize(
    ("recommended", "relevant", "message"),
    [
        ({"item_id": [1], "rank": [1]}, RELEVANT, "request_id"),
        ({"user_id": [1], "rank": [1]}, RELEVANT, "item_id"),
        ({"user_id": [1], "item_id": [1]}, RELEVANT, "score or rank"),
        ({"user_id": [1], "item_id": [1], "rank": [0]}, RELEVANT, "from 1"),
        ({"user_id": [1, 1], "item_id": [1, 2], "rank": [1, 1]}, RELEVANT, "two items of rank 1"),
        ({"user_id": [1], "item_id": [1], "rank": [1.0]}, RELEVANT, "integers"),
        ({"user_id": [1, 1], "item_id": [1, 2], "score": [1.0, np.nan]}, RELEVANT, "row 1"),
        ({"user_id": [1], "item_id": ["1"], "rank": [1]}, RELEVANT, "item_id"),
        ({"user_id": [1], "item_id": [1.5], "rank": [1]}, RELEVANT, "item_id"),
        (pl.DataFrame(RECOMMENDED).lazy(), RELEVANT, "collect"),
        (RECOMMENDED, [[1]], "both be frames"),
        ([[1]], RELEVANT, "both be frames"),
        ([[0, 2, 1]], None, "0 or 1"),
        ([[1, 1, 1]], None, "2 hits"),
        (np.zeros((2, 0), int), None, "last column"),
    ],
)
def test_bad_forms(recommended, relevant, message):
    with pytest.raises(InputError, match=message):
        evaluate(recommended, relevant, [1])


def test_a_gap_in_the_ids_is_no_id():
    gap = pl.DataFrame({"user_id": ["a", None], "item_id": ["x", "y"], "rank": [1, 1]})
    with pytest.raises(InputError, match="user_id"):
        evaluate(gap, pl.DataFrame({"user_id": ["a"], "item_id": ["x"]}), [1])


def test_neither_torch_nor_a_frame_library_is_imported():
    code = """
        import sys
        from recsys.metrics import evaluate
        table = {"user_id": [1, 1], "item_id": [3, 4], "score": [0.1, 0.2]}
        assert evaluate(table, {"user_id": [1], "item_id": [4]}, [1])["hit@1"] == [1]
        sys.exit(", ".join(sorted({"torch", "pandas", "polars", "lightning"} & set(sys.modules))) or 0)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_polars_frames_need_no_torch():
    code = """
        import sys
        import polars as pl
        from recsys.metrics import evaluate
        table = pl.DataFrame({"user_id": [1, 1], "item_id": [3, 4], "score": [0.1, 0.2]})
        assert evaluate(table, table.filter(pl.col("item_id") == 4), [1])["hit@1"] == [1]
        sys.exit("torch" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)]).returncode == 0
