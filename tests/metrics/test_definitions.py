"""What other libraries mean by the same names: their own numbers, computed where they are installed, or recorded."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from recsys.metrics import ALL_METRICS, METRICS, evaluate, mean_metrics

CUTOFFS = (1, 3, 5, 10, 20)
# Means that RecTools 0.19, RePlay 0.22 and ranx 0.3.21 gave for `problem()`.
RECORDED = json.loads(Path(__file__).with_name("peer_values.json").read_text("utf-8"))


def problem():
    """Lists of 20 of 60 items; of 1 to 39 relevant ones some are not among them, so that every denominator differs."""
    rng = np.random.default_rng(7)
    ranked = np.stack([rng.permutation(60)[:20] + 1 for _ in range(200)])
    sets = [np.sort(rng.permutation(60)[: rng.integers(1, 40)] + 1) for _ in range(200)]
    return ranked, sets


def one(peer, metrics=ALL_METRICS):
    got = evaluate([[7, 8, 9, 4]], [[9, 7, 5]], [1, 3, 4], metrics, compat=peer)
    return {name: float(column[0]) for name, column in got.items()}


@pytest.mark.parametrize("peer", RECORDED)
def test_recorded_values(peer):
    ranked, sets = problem()
    ours = mean_metrics(evaluate(ranked, sets, CUTOFFS, compat=peer))
    assert RECORDED[peer] == pytest.approx(ours, abs=1e-12)
    plain = mean_metrics(evaluate(ranked, sets, CUTOFFS))
    assert (plain == pytest.approx(ours, abs=1e-12)) == (peer == "replay")


def test_map_denominators():
    precisions = 1 + 2 / 3  # hits at places 1 and 3, of three relevant
    assert one(None)["map@4"] == pytest.approx(precisions / 3)
    assert one("rectools")["map@1"] == one("ranx")["map@1"] == pytest.approx(1 / 3)
    assert one("torchmetrics")["map@4"] == pytest.approx(precisions / 2)
    assert one(None)["map@1"] == one("recbole")["map@1"] == one("replay")["map@1"] == 1


def test_rectools_ideal_list_is_full():
    gains = 1 / np.log2(np.arange(2, 6))
    assert one("rectools")["ndcg@4"] == pytest.approx((gains[0] + gains[2]) / gains.sum())
    assert one(None)["ndcg@4"] == pytest.approx((gains[0] + gains[2]) / gains[:3].sum())


def test_r_precision():
    got = evaluate([[1, 2, 3, 4]], [[1, 4]], [1, 2, 4], ["r_precision"])
    assert [column[0] for column in got.values()] == [0.5, 0.5, 0.5]
    theirs = evaluate([[1, 2, 3, 4]], [[1, 4]], [1, 2, 4], ["r_precision"], compat="rectools")
    assert [column[0] for column in theirs.values()] == [1, 0.5, 1]


def test_first_rank():
    got = evaluate([[1, 2, 3]], [[3, 2]], [1, 2, 3], ["first_rank"])
    np.testing.assert_array_equal([column[0] for column in got.values()], [np.nan, 2, 2])


@pytest.mark.parametrize("peer", [None, "recbole", "rectools", "replay", "ranx", "torchmetrics"])
def test_where_nothing_is_relevant(peer):
    got = {name: column[0] for name, column in evaluate([[1, 2]], [[]], [2], ALL_METRICS, compat=peer).items()}
    zero = {
        None: [],
        "recbole": ["hit", "precision", "ndcg", "mrr", "map"],
        "rectools": [],
        "replay": [*METRICS, "r_precision"],
        "ranx": [*METRICS, "r_precision"],
        "torchmetrics": [*METRICS, "r_precision"],
    }[peer]
    assert got == pytest.approx({f"{m}@2": 0.0 if m in zero else np.nan for m in ALL_METRICS}, nan_ok=True)


def test_many_relevant_items_and_as_many_unknown_ones():
    rng = np.random.default_rng(8)
    ranked = rng.integers(0, 400, (30, 50))  # with padding and repetition
    wanted = rng.permutation(400)[:300] + 1
    many = evaluate(ranked, [wanted] * 30, [5, 50], ALL_METRICS)
    listed = [np.intersect1d(wanted, row) for row in ranked]
    unknown = [np.append(own, np.zeros(300 - len(own), int)) for own in listed]
    few = evaluate(ranked, unknown, [5, 50], ALL_METRICS)
    for name in many:
        np.testing.assert_array_equal(many[name], few[name], name)


def test_a_large_cutoff_costs_nothing():
    assert evaluate([[1]], [[1]], [10**12], ["ndcg"])[f"ndcg@{10**12}"] == [1]


@pytest.mark.parametrize("k", [3, 20])
def test_torchmetrics(k):
    retrieval = pytest.importorskip("torchmetrics.functional.retrieval")
    torch = pytest.importorskip("torch")
    ranked, sets = problem()
    functions = {
        "hit": retrieval.retrieval_hit_rate,
        "recall": retrieval.retrieval_recall,
        "precision": retrieval.retrieval_precision,
        "ndcg": retrieval.retrieval_normalized_dcg,
        "mrr": retrieval.retrieval_reciprocal_rank,
        "map": retrieval.retrieval_average_precision,
    }
    ours = evaluate(ranked, sets, [k], compat="torchmetrics")
    for i, (row, wanted) in enumerate(zip(ranked[:50], sets, strict=False)):
        labels = np.append(np.isin(row, wanted), np.ones(len(np.setdiff1d(wanted, row)), bool))
        scores = torch.arange(len(labels), 0, -1).double()
        for name, function in functions.items():
            assert ours[f"{name}@{k}"][i] == pytest.approx(float(function(scores, torch.tensor(labels), k)), abs=2e-6)


def test_ranx():
    ranx = pytest.importorskip("ranx")
    ranked, sets = problem()
    qrels = ranx.Qrels({f"q{i}": {str(item): 1 for item in wanted} for i, wanted in enumerate(sets)})
    run = ranx.Run({f"q{i}": {str(item): 20.0 - j for j, item in enumerate(row)} for i, row in enumerate(ranked)})
    names = {f"{'hit_rate' if name == 'hit' else name}@5": f"{name}@5" for name in METRICS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ranx.evaluate(qrels, run, list(names))
    ours = mean_metrics(evaluate(ranked, sets, [5], compat="ranx"))
    assert {names[name]: value for name, value in theirs.items()} == pytest.approx(ours, abs=1e-12)
