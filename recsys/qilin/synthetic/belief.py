"""What a ranker may believe about the topic that steers a request: with the searches before it, and without them.

Without, the belief is Bayes' rule: the prior of a user's searches, and how much likelier each earlier click in
recommendation is under one topic than under the others. It is told *that* a search is in memory, and which earlier
requests fell under searches of the same subject; only what they were about is hidden. That is more than any ranker
without searches knows, so that what it reaches bounds them all, and the gap to the seeing one is never flattered.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recsys.qilin.synthetic.log import Requests, runs

_FAR = 1_000_000_000


@dataclass(frozen=True)
class Chain:
    """Clicks in recommendation, sorted by user, oldest first; `request` is -1 for those from before the day.

    `previous` is the click before each by the same user, or -1.
    """

    user: np.ndarray
    request: np.ndarray
    note: np.ndarray
    previous: np.ndarray

    @staticmethod
    def of(past: tuple[np.ndarray, np.ndarray, np.ndarray], requests: Requests) -> "Chain":
        """Clicks from before the day (user, time, note; sorted) and those of the requests."""
        user = np.concatenate([past[0], requests.user[requests.clicked_by]])
        request = np.concatenate([np.full(len(past[0]), -1), requests.clicked_by])
        order = np.lexsort((request, user))
        user = user[order]
        first = np.concatenate([[True], user[1:] != user[:-1]])
        previous = np.where(first, -1, np.arange(len(user)) - 1)
        return Chain(user, request[order], np.concatenate([past[2], requests.clicked])[order], previous)

    def before(self, requests: Requests, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of a place in `rows` and a click that its user had made when that request began."""
        user = requests.user[rows]
        first = np.searchsorted(self.user, user, "left")
        length = np.searchsorted(self.user * _FAR + self.request + 1, user * _FAR + rows + 1, "left") - first
        return np.repeat(np.arange(len(rows)), length), runs(first, length)

    def last(self, requests: Requests, rows: np.ndarray) -> np.ndarray:
        """The latest click before each of `rows`, or -1."""
        row, click = self.before(requests, rows)
        latest = np.full(len(rows), -1)
        latest[row] = click  # of several the last one stays
        return latest


@dataclass(frozen=True)
class Searched:
    """What steers each request, and what the clicks betray of it.

    Attributes:
        subject: `[requests]`, number of what the search in memory is about; -1 without a search. Searches of one
            subject have one topic, topics of different subjects are independent.
        chain: the clicks.
        evidence: of some clicks `[n]` of the chain, the logarithm `[n, topics]` of the likelihood of each topic to be
            the one that was searched for.
    """

    subject: np.ndarray
    chain: Chain
    evidence: Callable[[np.ndarray], np.ndarray]


def seeing(requests: Requests, rows: np.ndarray, topics: int) -> np.ndarray:
    """Certainty `[rows, topics]` of the searched topic; a row without a search in memory is 0."""
    return np.asarray(requests.topic[rows, None] == np.arange(topics), dtype=np.float64)


def blind(searched: Searched, requests: Requests, rows: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Probability `[rows, topics]` of each topic to be the searched one, from the `prior` and the clicks before."""
    row, click = searched.chain.before(requests, rows)
    during, subject = searched.chain.request[click], searched.subject[rows]
    same = (during >= 0) & (searched.subject[during] == subject[row]) & (subject[row] >= 0)
    row, click = row[same], click[same]
    weight = np.log(np.maximum(prior, 1e-300))
    np.add.at(weight, row, searched.evidence(click))
    posterior = np.exp(weight - weight.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    return np.where(subject[:, None] >= 0, posterior, 0.0)
