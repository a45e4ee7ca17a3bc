"""What is known of the learnable world: the probability of every next click, from the law it was drawn by.

The first click of a request is exact. From the second on, the notes clicked before it within the request are left out
by their probability, as if they did not depend on each other.
In this world a user who has clicked nearly all of a topic may be led to a note once more, and then nothing is clicked;
how many clicks a request got is taken to say nothing about its topic.
"""

import numpy as np

from recsys.qilin.synthetic.belief import Chain, Searched
from recsys.qilin.synthetic.log import Requests, in_memory
from recsys.qilin.synthetic.oracle import Chances
from recsys.qilin.synthetic.shown import LIKED, ON_TOPIC
from recsys.qilin.synthetic.world import MEMORY, SUCCESSION, TOPICS, World, search_prior


class LearnableKnowledge:
    """Knowledge of a learnable world of some influence; every recommended note is a cell."""

    def __init__(self, world: World, influence: float) -> None:
        self._world, self._influence = world, influence
        notes = world.notes
        self._topic, self._successor = notes.topic[: notes.rec], notes.successor
        weight = notes.weight[: notes.rec]
        self._weight = weight / np.bincount(self._topic, weight, TOPICS)[self._topic]
        self._chain = Chain.of(world.past, world.rec)
        subject = in_memory(world.rec.user, world.rec.start, world.search, MEMORY)
        self._searched = Searched(subject, self._chain, self._evidence)
        self._spent = self._spent_before()
        pair = self._chain.user * notes.rec + self._chain.note  # no user clicks a note twice
        order = np.argsort(pair, kind="stable")
        self._pairs = pair[order], order

    @property
    def requests(self) -> Requests:
        """The requests for recommendation."""
        return self._world.rec

    @property
    def searched(self) -> Searched:
        """What steers them; every search is a subject of its own."""
        return self._searched

    def prior(self, rows: np.ndarray) -> np.ndarray:
        """Probability `[rows, topics]` of what the users of the requests search for."""
        return search_prior(self._world.preference[self.requests.user[rows]])

    def cells(self, note: np.ndarray) -> np.ndarray:
        """The cell of each note."""
        return note

    def chances(self, rows: np.ndarray, belief: np.ndarray, clicks: np.ndarray) -> Chances:
        """Of requests with so many clicks, if the probabilities of the searched topic are `belief`."""
        liked, notes = self._world.preference[self.requests.user[rows]], len(self._topic)
        row, click = self._chain.before(self.requests, rows)
        unseen = np.ones((len(rows), notes))
        unseen[row, self._chain.note[click]] = 0.0
        active = belief.sum(axis=1, keepdims=True) > 0
        steered = self._influence * active
        searching, browsing = self._weight * belief[:, self._topic], self._weight * liked[:, self._topic]
        topics = (self._topic[:, None] == np.arange(TOPICS)).astype(np.float64)

        latest = self._chain.last(self.requests, rows)
        now = np.zeros((len(rows), notes))
        now[latest >= 0, self._chain.note[latest[latest >= 0]]] = 1.0
        left, first = unseen, now
        for step in range(int(clicks.max(initial=0))):
            # A note that was clicked is drawn once more, from the same topic; if that was, too, nothing is clicked.
            share = left * (1 + (((1 - left) * self._weight) @ topics)[:, self._topic])
            follows = self._following(now) * left
            other = follows + (1 - follows.sum(axis=1, keepdims=True)) * share * browsing
            unsteered = (1 - SUCCESSION) * share * browsing + SUCCESSION * other
            now = steered * share * searching + (1 - steered) * unsteered
            now /= np.maximum(now.sum(axis=1, keepdims=True), 1e-300)
            left = np.maximum(left - now * (step < clicks)[:, None], 0.0)
            first = first if step else now
        mix = np.where(active & (self._influence > 0), ON_TOPIC * belief + LIKED * liked, (ON_TOPIC + LIKED) * liked)
        mix = mix + (1 - ON_TOPIC - LIKED) / TOPICS
        return Chances(unseen, unseen - left, self._weight * mix[:, self._topic], first @ topics)

    def _following(self, now: np.ndarray) -> np.ndarray:
        """Probability of each note to be the successor of one drawn from `now`."""
        order = np.argsort(self._successor, kind="stable")
        target, first = np.unique(self._successor[order], return_index=True)
        reached = np.zeros_like(now)
        reached[:, target] = np.add.reduceat(now[:, order], first, axis=1)
        return reached

    def _evidence(self, click: np.ndarray) -> np.ndarray:
        """Logarithm `[n, topics]` of the likelihood of each topic to be the searched one, given clicks of the chain."""
        chain, note, previous = self._chain, self._chain.note[click], self._chain.previous[click]
        about, spent, influence = self._topic[note], self._spent[click], self._influence
        followed = np.where(previous >= 0, self._successor[chain.note[previous]], -1)
        follows = SUCCESSION * ((previous >= 0) & ~self._was_seen(followed, click))
        liked = self._world.preference[chain.user[click]]
        share = self._weight[note] * (1 + spent[np.arange(len(click)), about])
        browsed = follows * (followed == note) + (1 - follows) * liked[np.arange(len(click)), about] * share
        searched = (about[:, None] == np.arange(TOPICS)) * share[:, None]
        ends = follows + (1 - follows) * (liked * (1 - spent**2)).sum(axis=1)
        likelihood = influence * searched + (1 - influence) * browsed[:, None]
        clicked = influence * (1 - spent**2) + (1 - influence) * ends[:, None]
        logarithm: np.ndarray = np.log(np.maximum(likelihood, 1e-300)) - np.log(np.maximum(clicked, 1e-300))
        return logarithm

    def _spent_before(self) -> np.ndarray:
        """Weight `[clicks, topics]` of what each click's user had clicked before, within its topic."""
        chain = self._chain
        summed = np.zeros((len(chain.note) + 1, TOPICS))
        summed[np.arange(len(chain.note)) + 1, self._topic[chain.note]] = self._weight[chain.note]
        np.cumsum(summed, axis=0, out=summed)
        spent: np.ndarray = np.maximum(summed[:-1] - summed[np.searchsorted(chain.user, chain.user, "left")], 0.0)
        return spent

    def _was_seen(self, note: np.ndarray, click: np.ndarray) -> np.ndarray:
        """Whether the user of each `click` had clicked `note` before it."""
        pair, order = self._pairs
        wanted = self._chain.user[click] * len(self._topic) + note
        place = np.minimum(np.searchsorted(pair, wanted), len(pair) - 1)
        seen: np.ndarray = (pair[place] == wanted) & (order[place] < click)
        return seen
