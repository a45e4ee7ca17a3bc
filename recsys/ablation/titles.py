"""Queries and titles as weighted n-grams: a ranking by the last query that learns nothing, and what queries are new."""

import numpy as np
import torch
from scipy.sparse import csr_matrix

from recsys.data import SequenceData
from recsys.data.histories import searches_before, sortable
from recsys.data.items import item_file
from recsys.training.baselines import Chance, Scored
from recsys.training.evaluation import Evaluation
from recsys.training.protocols import Questions

COMMON = 0.05
"""N-grams that more titles have say nothing of what a text is about."""
LAST = 20
"""Clicks that a query is new to."""
_ROWS = 128


def last_search(questions: Questions, rows: np.ndarray) -> np.ndarray:
    """The latest search that each of the requests `rows` may see, as its number in the data set; -1 for none."""
    requests, searches = questions.dataset.requests, questions.dataset.searches
    if searches is None or not len(searches.user):
        return np.full(len(rows), -1)
    user, margin = requests.user[rows], questions.histories.margin
    last = searches_before(sortable(searches.user, searches.timestamp), user, requests.timestamp[rows], margin) - 1
    return np.where((last >= 0) & (searches.user[last] == user), last, -1)


class Titles:
    """The titles of a vocabulary and the queries of a data set, in one space of n-grams.

    Args:
        title: hashed n-grams `[items, grams]`, 0 is padding.
        query: the same of the searches `[searches, grams]`.
    """

    def __init__(self, title: np.ndarray, query: np.ndarray) -> None:
        known = np.unique(title[title > 0])
        self.title, self.query = (_counts(grams, known) for grams in (title, query))
        titled = max(1, int((np.diff(self.title.indptr) > 0).sum()))
        having = np.bincount(self.title.indices, minlength=len(known))
        self.telling = having <= max(1, COMMON * titled)
        self.weight = np.log(titled / np.maximum(having, 1)) * self.telling
        self.weighted = _normalised(self.title.multiply(self.weight).tocsr())

    def scores(self, search: np.ndarray) -> np.ndarray:
        """Cosine of the weighted n-grams of searches (-1: none) with every title, `[searches, items]` float32."""
        query = self.query[np.maximum(search, 0)].multiply((search >= 0)[:, None])
        query = _normalised(query.multiply(self.weight).tocsr())
        found: np.ndarray = (query @ self.weighted.T).toarray().astype(np.float32)
        return found

    def new(self, search: np.ndarray, row: np.ndarray, item: np.ndarray) -> np.ndarray:
        """`[searches]` bool: whether a search shares no telling n-gram with the items of its row, `[pairs]` both."""
        shared = self.query[search[row]].multiply(self.title[item]).multiply(self.telling).sum(1)
        met = np.bincount(row, weights=np.asarray(shared).ravel(), minlength=len(search))
        return (search >= 0) & (met == 0)


def titles(data: SequenceData) -> Titles | None:
    """Those of the data set; None where it tells no titles or has no searches."""
    searches = data.dataset.searches
    if searches is None or not item_file(data.path).is_file() or not data.content.gram.any():
        return None
    return Titles(data.content.gram.astype(np.int64), searches.gram)


def text_match(questions: Questions, found: Titles) -> Evaluation:
    """Every request answered by what its user searched for last, without any training."""
    evaluation = Evaluation(questions, questions.protocols, Chance())
    for rows in np.array_split(questions.requests, -(-len(questions.requests) // _ROWS)):
        evaluation.add(rows, Scored(torch.from_numpy(found.scores(last_search(questions, rows))), None))
    return evaluation


def new_topic(questions: Questions, found: Titles, rows: np.ndarray) -> np.ndarray:
    """`[requests]` bool: whether the last query has nothing in common with the titles of the last 20 clicks before."""
    seen = questions.seen(rows)
    near = np.repeat(seen.offsets[1:], seen.lengths) - np.arange(len(seen.values)) <= LAST
    search = last_search(questions, rows)
    return found.new(search, seen.group[near], seen.values[near])


def _counts(grams: np.ndarray, known: np.ndarray) -> csr_matrix:
    """Which of the `known` n-grams each text has, `[texts, known]`, each once."""
    row, place = np.nonzero(grams)
    number = np.searchsorted(known, grams[row, place])
    inside = (number < len(known)) & (known[np.minimum(number, len(known) - 1)] == grams[row, place])
    pairs = np.unique(row[inside] * len(known) + number[inside])
    values = np.ones(len(pairs), np.float32)
    return csr_matrix((values, (pairs // len(known), pairs % len(known))), shape=(len(grams), len(known)))


def _normalised(rows: csr_matrix) -> csr_matrix:
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    return rows.multiply(1 / np.maximum(length, 1e-12)[:, None]).tocsr()
