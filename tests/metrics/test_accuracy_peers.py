"""The same numbers as RecBole 1.2.1's own metric classes and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from recsys.metrics import METRICS, evaluate

REQUESTS, DEPTH, ITEMS = 300, 20, 60


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    ranked = rng.permuted(np.tile(np.arange(1, ITEMS + 1), (REQUESTS, 1)), axis=1)
    sets = [rng.permutation(ITEMS)[: rng.integers(1, 40)] + 1 for _ in range(REQUESTS)]
    labels = np.stack([np.isin(row, wanted) for row, wanted in zip(ranked, sets, strict=True)])
    return ranked, np.cumsum([0, *map(len, sets)]), np.concatenate(sets), labels


@pytest.mark.parametrize("name", METRICS)
def test_recbole(problem, name, monkeypatch):
    peers = pytest.importorskip("recbole.evaluator.metrics")
    monkeypatch.setattr(np, "float", float, raising=False)
    ranked, offsets, relevant, labels = problem
    cutoffs = range(1, DEPTH + 1)
    metric = getattr(peers, {"hit": "Hit", "recall": "Recall", "precision": "Precision"}.get(name, name.upper()))
    counted = (np.diff(offsets),) if name in ("recall", "ndcg", "map") else ()
    peer = metric({"metric_decimal_place": 4, "topk": [DEPTH]}).metric_info(labels[:, :DEPTH], *counted)
    ours = evaluate(ranked[:, :DEPTH], (offsets, relevant), cutoffs, [name])
    np.testing.assert_allclose(np.stack([ours[f"{name}@{k}"] for k in cutoffs], axis=1), peer, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_scikit_learn_ndcg(problem, k):
    ranked, offsets, relevant, labels = problem
    scores = np.arange(ITEMS, 0, -1)
    peer = [ndcg_score([row], [scores], k=k) for row in labels.astype(int)]
    ours = evaluate(ranked, (offsets, relevant), [k], ["ndcg"])[f"ndcg@{k}"]
    np.testing.assert_allclose(ours, peer, rtol=0, atol=1e-12)


def test_scikit_learn_average_precision_over_whole_lists(problem):
    ranked, offsets, relevant, labels = problem
    peer = [average_precision_score(row, np.arange(ITEMS, 0, -1)) for row in labels]
    ours = evaluate(ranked, (offsets, relevant), [ITEMS], ["map"])[f"map@{ITEMS}"]
    np.testing.assert_allclose(ours, peer, rtol=0, atol=1e-12)
