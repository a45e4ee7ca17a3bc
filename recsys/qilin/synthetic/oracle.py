"""How well a synthetic day can be ranked by one who knows the world it was drawn from, with the searches and without.

The ranker knows the notes' weights, the users' preferences, the laws by which clicks follow each other and searches
steer them, the user's earlier clicks in recommendation, and how many notes each request will get clicked. With the
searches it also knows what the one in memory is about; without, it believes what `belief.blind` says.

*Full ranking* is of all notes that recommendation may show, by their probability to be clicked: no ranking has a higher
expected NDCG. What is approximate about the probabilities is said where they are computed (`learnable_oracle`,
`published_oracle`). *Re-ranking* is of the notes that the request showed, each scored on its own: how much likelier it
is to be clicked than to be shown unclicked. A ranker that weighs a list as a whole could do better.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from recsys.qilin.synthetic.belief import Searched, blind, seeing
from recsys.qilin.synthetic.log import Ragged, Requests, runs

CUTOFF = 10
_CHUNK = 256
_DIGITS = 4
# Sum of the discounts 1 / log2(rank + 1) of the first 0, 1, … places.
_DISCOUNTS = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, CUTOFF + 2)))])


@dataclass(frozen=True)
class Chances:
    """Of some requests. Notes of one cell are alike; there are `size` `[rows, cells]` of them.

    Attributes:
        click: `[rows, cells]`, probability of a note to be clicked.
        shown: `[rows, cells]`, probability of an unclicked exposure to be of the note.
        first: `[rows, topics]`, probability of each topic to be that of the first click.
    """

    size: np.ndarray
    click: np.ndarray
    shown: np.ndarray
    first: np.ndarray


class Knowledge(Protocol):
    """What is known of a world."""

    @property
    def requests(self) -> Requests:
        """The requests for recommendation."""

    @property
    def searched(self) -> Searched:
        """What steers them."""

    def prior(self, rows: np.ndarray) -> np.ndarray:
        """Probability `[rows, topics]` of what the users of the requests search for."""

    def cells(self, note: np.ndarray) -> np.ndarray:
        """The cell of each note."""

    def chances(self, rows: np.ndarray, belief: np.ndarray, clicks: np.ndarray) -> Chances:
        """Of requests with so many clicks, if the probabilities of the searched topic are `belief`."""


Scores = Mapping[str, np.ndarray]


def measure(knows: Knowledge, shown: Ragged, rows: np.ndarray) -> dict[str, Any]:
    """The `summary` of those of the requests `rows` that have a click."""
    rows = rows[np.isin(rows, knows.requests.clicked_by)]
    return summary(knows, scores(knows, shown, rows), rows)


def scores(knows: Knowledge, shown: Ragged, rows: np.ndarray) -> dict[str, Scores]:
    """Values `[rows]` of each request, "with" the searches and "without" them.

    - expected: NDCG@10 that its full ranking has on average, by its own probabilities
    - full: NDCG@10 of its full ranking on the clicks that were drawn, ties in every order
    - exposed: the same of the candidates that the request showed
    - topic: probability given to the first click being on the searched topic; nan without a search in memory
    """
    clicks = np.bincount(knows.requests.clicked_by, minlength=len(knows.requests.user))[rows]
    order = np.argsort(clicks, kind="stable")  # requests of as many clicks together, so that none waits for a long one
    parts = [_chunk(knows, shown, rows[order[first : first + _CHUNK]]) for first in range(0, len(rows), _CHUNK)]
    back = np.argsort(order)
    return {
        sight: {name: np.concatenate([part[sight][name] for part in parts])[back] for name in parts[0][sight]}
        for sight in parts[0]
    }


def summary(knows: Knowledge, values: Mapping[str, Scores], rows: np.ndarray) -> dict[str, Any]:
    """Means of the `scores` over all requests, and over those with a search in memory."""
    searched = knows.searched.subject[rows] >= 0
    parts = {"all": np.ones(len(rows), bool), "after_search": searched}
    means: dict[str, Any] = {"requests": {part: int(chosen.sum()) for part, chosen in parts.items()}}
    for title, name in _QUANTITIES.items():
        means[title] = {
            part: {sight: _mean(values[sight][name][chosen]) for sight in values}
            for part, chosen in parts.items()
            if name != "topic" or part == "after_search"
        }
    return means


def table(means: Mapping[str, Any]) -> Iterator[str]:
    """The summary in lines."""
    count = means["requests"]
    yield f"  {'what one who knows this world reaches':46} {'without':>8} {'with the searches':>18}"
    for title in _QUANTITIES:
        for part, reached in means[title].items():
            name = f"{title}, {part.replace('_', ' ')} ({count[part]} requests)"
            cells = ("-" if reached[sight] is None else f"{reached[sight]:.4f}" for sight in ("without", "with"))
            yield "  {:46} {:>8} {:>18}".format(name, *cells)


_QUANTITIES = {
    "expected ndcg@10": "expected",
    "ndcg@10": "full",
    "exposed/ndcg@10": "exposed",
    "searched topic next": "topic",
}


def _mean(values: np.ndarray) -> float | None:
    return round(float(values.mean()), _DIGITS) if len(values) else None


def _chunk(knows: Knowledge, shown: Ragged, rows: np.ndarray) -> dict[str, Scores]:
    requests, prior = knows.requests, knows.prior(rows)
    first = np.searchsorted(requests.clicked_by, rows, "left")
    clicks = np.searchsorted(requests.clicked_by, rows, "right") - first
    ideal = _DISCOUNTS[np.minimum(clicks, CUTOFF)]
    clicked = np.repeat(np.arange(len(rows)), clicks)
    note = requests.clicked[runs(first, clicks)]
    candidates, label = _candidates(shown.pick(rows))
    topic = requests.topic[rows]
    beliefs = {
        "with": seeing(requests, rows, prior.shape[1]),
        "without": blind(knows.searched, requests, rows, prior),
    }
    values: dict[str, Scores] = {}
    for sight, belief in beliefs.items():
        chances = knows.chances(rows, belief, clicks)
        ratio = chances.click / np.maximum(chances.shown, 1e-300)
        found = chances.first[np.arange(len(rows)), topic]
        values[sight] = {
            "expected": _expected(chances) / ideal,
            "full": _gains(len(rows), clicked, _places(chances, clicked, knows.cells(note))) / ideal,
            "exposed": _reranked(len(rows), candidates[0], ratio[candidates[0], knows.cells(candidates[1])], label)
            / ideal,
            "topic": np.where(topic >= 0, found, np.nan),
        }
    return values


def _candidates(shown: Ragged) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Place of the request and note of each distinct pair, and whether it was clicked."""
    row, values = np.repeat(np.arange(len(shown.length)), shown.length), shown.values
    order = np.lexsort((values["click"], values["note"], row))
    row, note = row[order], values["note"][order]
    last = np.concatenate([(row[1:] != row[:-1]) | (note[1:] != note[:-1]), [True]])
    return (row[last], note[last]), values["click"][order][last] == 1


def _expected(chances: Chances) -> np.ndarray:
    """Discounted gain that the best order has on average; only the best `CUTOFF` cells reach the first places."""
    best = np.argpartition(-chances.click, CUTOFF - 1, axis=1)[:, :CUTOFF]
    order = np.argsort(-np.take_along_axis(chances.click, best, axis=1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    size, click = (np.take_along_axis(column, best, axis=1) for column in (chances.size, chances.click))
    gained = np.diff(_discounted(np.cumsum(size, axis=1)), axis=1, prepend=0.0)
    total: np.ndarray = (gained * click).sum(axis=1)
    return total


def _places(chances: Chances, row: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many notes each clicked one comes after, and how many share its score."""
    score, size = chances.click[row], chances.size[row]
    own = score[np.arange(len(row)), cell][:, None]
    return (size * (score > own)).sum(axis=1), np.maximum((size * (score == own)).sum(axis=1), 1.0)


def _reranked(rows: int, row: np.ndarray, score: np.ndarray, label: np.ndarray) -> np.ndarray:
    order = np.lexsort((-score, row))
    row, score, label = row[order], score[order], label[order]
    place = np.arange(len(row)) - np.searchsorted(row, row, "left")
    new = np.concatenate([[True], (row[1:] != row[:-1]) | (score[1:] != score[:-1])])
    group = np.cumsum(new) - 1
    before, tied = place[new][group], np.bincount(group)[group]
    return _gains(rows, row[label], (before[label], tied[label]))


def _gains(rows: int, row: np.ndarray, places: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Discounted gain of each request; a note that ties has the mean discount of the places it may take."""
    before, tied = places
    mean = (_discounted(before + tied) - _discounted(before)) / tied
    return np.bincount(row, mean, rows)


def _discounted(places: np.ndarray) -> np.ndarray:
    """Sum of the discounts of so many first places; of a part of a place, that part."""
    return np.interp(places, np.arange(CUTOFF + 1), _DISCOUNTS)
