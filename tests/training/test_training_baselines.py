"""What stands beside a model, on a data set in which much of what is clicked is outside the vocabulary."""

import numpy as np
import pytest

from recsys.data.dataset import SPLITS, Dataset, load
from recsys.data.histories import histories
from recsys.training.baselines import Ceiling, Chance, Position, Static, baselines, popularity, recency
from recsys.training.evaluation import Evaluation, frame
from recsys.training.protocols import Questions


@pytest.fixture(scope="module")
def dataset(zoo) -> Dataset:
    found = load(zoo.qilin, min_count=12)
    assert (found.requests.target.values == 0).any()
    return found


def questions(dataset: Dataset, **more) -> Questions:
    return Questions(dataset, histories(dataset, "test"), "test", (5, 10), **more)


def test_popularity_counts_training_clicks_and_recency_the_latest_first(dataset: Dataset) -> None:
    events = dataset.events
    train = (events.split == 0) & (events.item > 0)
    counted = np.bincount(events.item[train], minlength=len(dataset.items))
    np.testing.assert_array_equal(popularity(dataset), counted)
    times = np.sort(events.timestamp[train])
    start = times[int(np.ceil(0.9 * (len(times) - 1)))]
    late = np.bincount(events.item[train & (events.timestamp >= start)], minlength=len(dataset.items))
    score = recency(dataset)
    expected = sorted(range(len(score)), key=lambda i: (late[i], counted[i]))
    assert (np.diff(score[expected]) >= 0).all()
    assert late[score.argmax()] == late.max()


def test_the_ceiling_lists_what_was_clicked_and_may_be_recommended(dataset: Dataset) -> None:
    for exclude_seen in (False, True):
        asked = questions(dataset, exclude_seen=exclude_seen)
        rows = asked.requests
        lists = Ceiling().catalogue(asked, rows, 50)
        for row, found in zip(rows, lists, strict=True):
            seen = set(asked.seen(np.array([row])).values.tolist()) if exclude_seen else set()
            assert set(found.tolist()) - {0} == set(dataset.requests.target[row].tolist()) - {0} - seen


def test_a_request_for_unknown_items_alone_counts_in_full_ranking_and_not_among_the_known(dataset: Dataset) -> None:
    asked = questions(dataset)
    rows = asked.requests
    evaluation = Evaluation(asked, asked.protocols, Chance())
    evaluation.add(rows, Static(popularity(dataset)))
    target = dataset.requests.target.take(rows)
    known = np.add.reduceat(target.values > 0, target.offsets[:-1]) > 0
    assert 0 < known.sum() < len(known)
    np.testing.assert_array_equal(np.isnan(evaluation.values("in_vocabulary/recall@10")), ~known)
    assert not np.isnan(evaluation.values("recall@10")).any()
    assert (evaluation.values("recall@10")[~known] == 0).all()
    of_known = evaluation.values("in_vocabulary/precision@10")[known]
    np.testing.assert_array_equal(evaluation.values("precision@10")[known], of_known)
    assert (evaluation.values("in_vocabulary/recall@10")[known] >= evaluation.values("recall@10")[known]).all()


def test_the_order_of_exposure_is_that_of_positions(dataset: Dataset) -> None:
    requests = dataset.requests
    assert requests.position is not None
    assert requests.candidate is not None
    rows = np.flatnonzero(requests.split == SPLITS.index("test"))[:20]
    listed = requests.candidate.take(rows)
    index = np.concatenate([np.arange(*requests.candidate.offsets[row : row + 2]) for row in rows])
    order = Position().candidates(listed, index, requests.position[index])
    for start, stop in zip(listed.offsets[:-1], listed.offsets[1:], strict=True):
        assert (np.diff(requests.position[index][order[start:stop]]) >= 0).all()
    assert Position().candidates(listed, index, None) is None, "where nobody knows the positions"


def test_answers_do_not_depend_on_the_batches(dataset: Dataset) -> None:
    asked = questions(dataset, exclude_seen=True)
    found = []
    for size in (1000, 7):
        evaluations = {}
        for name, ranker in baselines(asked).items():
            evaluations[name] = Evaluation(asked, asked.protocols, ranker)
            for start in range(0, len(asked.requests), size):
                evaluations[name].add(asked.requests[start : start + size], ranker)
        found.append(frame(asked, evaluations))
    for name in found[0].columns:
        np.testing.assert_array_equal(found[0][name].to_numpy(), found[1][name].to_numpy(), err_msg=name)


def test_a_process_without_requests_knows_the_names(dataset: Dataset) -> None:
    asked = questions(dataset, average="user")
    for ranker in baselines(asked).values():
        idle, busy = (Evaluation(asked, asked.protocols, ranker) for _ in range(2))
        busy.add(asked.requests, ranker)
        (names, nothing), (others, totals) = idle.totals(), busy.totals()
        assert names == others
        assert nothing.shape == totals.shape
        assert not nothing.any()


def test_lists_are_kept_as_they_are_asked_for_and_their_popularity_is_the_mean_of_clicks(dataset: Dataset) -> None:
    asked, clicks = questions(dataset), popularity(dataset)
    shown = np.array([[1, 2, 3] + [0] * 7, [4] * 1 + [0] * 9, [0] * 10])

    class Fixed(Chance):
        def catalogue(self, questions: Questions, rows: np.ndarray, k: int) -> np.ndarray:
            return shown[: len(rows)]

    kept, plain = (Evaluation(asked, ["full"], Fixed(), keep_lists) for keep_lists in (True, False))
    for evaluation in (kept, plain):
        evaluation.add(asked.requests[:1], Fixed())
        evaluation.add(asked.requests[1:4], Fixed())
        evaluation.add_popularity(clicks)
    np.testing.assert_array_equal(kept.lists, shown[[0, 0, 1, 2]])
    first = clicks[1:4].mean()
    np.testing.assert_array_equal(kept.values("popularity@10"), [first, first, clicks[4], np.nan])
    bits = np.log2(clicks.sum()) - np.log2(max(clicks[4], 1))
    assert kept.values("novelty@5")[2] == pytest.approx(bits)
    assert plain.lists is None
    assert "popularity@10" not in plain.names


def test_the_first_thousand_are_the_earliest(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.training.protocols.FIRST", 20)
    asked = questions(dataset)
    assert "exposed_first_1000" in asked.protocols
    evaluation = Evaluation(asked, asked.protocols, Chance())
    evaluation.add(asked.requests, Chance())
    counted = ~np.isnan(evaluation.values("exposed_first_1000/ndcg@10"))
    times = dataset.requests.timestamp[asked.requests]
    assert counted.sum() == 20
    assert times[counted].max() <= times[~counted].min()
    assert asked.describe("exposed_first_1000")["requests"] == "the first 1,000 by time"
