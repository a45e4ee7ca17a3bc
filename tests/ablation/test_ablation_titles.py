"""The ranking by the last query, and the slices that are made by it, on a handful of titles."""

from pathlib import Path

import numpy as np
import pytest

from recsys.ablation.slices import slices
from recsys.ablation.titles import Titles, last_search, new_topic, text_match, titles
from recsys.data import SequenceData
from recsys.models.text import gram_matrix
from recsys.training.protocols import Questions

TITLES = ["", "红帽", "蓝帽", "海贝", "贝汤", *(f"0{number}0" for number in range(200, 300))]
QUERIES = ["帽", "贝", "红海", "马", ""]
NONE = -1


@pytest.fixture(scope="module")
def found() -> Titles:
    return Titles(gram_matrix(TITLES), gram_matrix(QUERIES))


def test_a_title_that_shares_rare_words_comes_first(found: Titles) -> None:
    scores = found.scores(np.array([0, 1, 2]))
    assert scores.shape == (3, len(TITLES))
    assert set(np.argsort(-scores[0])[:2]) == {1, 2}
    assert set(np.argsort(-scores[1])[:2]) == {3, 4}
    assert set(np.argsort(-scores[2])[:2]) == {1, 3}
    assert (scores <= 1 + 1e-6).all()


def test_what_says_nothing_scores_nothing(found: Titles) -> None:
    """No search, an empty one, padding; and what every title has, such as its beginning and end, does not count."""
    scores = found.scores(np.array([NONE, 4, 0]))
    assert not scores[:2].any()
    assert not scores[:, 0].any()
    common = Titles(gram_matrix(["", "ab", "ac", "ad"]), gram_matrix(["a"]))
    assert not common.scores(np.array([0])).any()


def test_a_query_is_new_where_no_clicked_title_has_anything_of_it(found: Titles) -> None:
    search = np.array([0, 0, 1, 3, NONE])
    row, item = np.array([0, 0, 1, 2, 3]), np.array([3, 1, 3, 1, 1])  # of the last, nothing was clicked
    assert found.new(search, row, item).tolist() == [False, True, True, True, False]


@pytest.fixture(scope="module")
def asked(tiny: Path) -> tuple[SequenceData, Questions]:
    data = SequenceData(str(tiny))
    return data, Questions(data.dataset, data.histories("test"), "test", (5, 10))


def test_the_last_search_is_the_latest_that_the_request_may_see(asked: tuple[SequenceData, Questions]) -> None:
    _, questions = asked
    requests, searches = questions.dataset.requests, questions.dataset.searches
    assert searches is not None
    rows = questions.requests
    for row, last in zip(rows, last_search(questions, rows), strict=True):
        seen = (searches.user == requests.user[row]) & (searches.timestamp < requests.timestamp[row])
        assert last == (np.flatnonzero(seen)[-1] if seen.any() else NONE)


def test_it_ranks_better_than_chance_without_training(asked: tuple[SequenceData, Questions]) -> None:
    data, questions = asked
    known = titles(data)
    assert known is not None
    evaluation = text_match(questions, known)
    assert sorted(evaluation.rows) == sorted(questions.requests)
    assert np.nanmean(evaluation.values("ndcg@10")) > 0.02  # chance is 0.003
    assert len(evaluation.values("exposed/ndcg@10")) == len(questions.requests)


def test_the_slices_are_what_they_are_called(asked: tuple[SequenceData, Questions]) -> None:
    data, questions = asked
    rows, searches = questions.requests, questions.dataset.searches
    assert searches is not None
    found = slices(questions, titles(data), rows)
    assert list(found) == ["right after a search", "new-topic query", "typed query", "cold target", "no search"]
    last, since = last_search(questions, rows), questions.since_search(rows)
    assert (found["no search"] == (last == NONE)).all()
    assert (since[found["right after a search"]] <= 1800).all()
    assert (searches.type[last[found["typed query"]]] == 1).all()
    for name in ("right after a search", "new-topic query", "typed query"):
        assert 0 < found[name].sum() < len(rows)
        assert not (found[name] & found["no search"]).any()
    assert "new-topic query" not in slices(questions, None, rows)
    assert (new_topic(questions, titles(data), rows) == found["new-topic query"]).all()  # type: ignore[arg-type]
