"""What is known of the published world: the probability of every next click, from the law it was drawn by.

The topics of the clicks are exact. Of the notes of a topic, head notes that the user has clicked are left out and their
probability goes to the tail, as in the draw; the recommended part of a shelf of the tail counts as one cell whose notes
are alike, clicked ones included, and several clicks of a request are taken for independent.
"""

import numpy as np

from recsys.qilin.synthetic.belief import Chain, Searched
from recsys.qilin.synthetic.catalogue import HEAD, OPEN, TAIL
from recsys.qilin.synthetic.choices import HEADED, LIKED, MEMORY, OTHER, SUCCESSION
from recsys.qilin.synthetic.exposures import REC
from recsys.qilin.synthetic.log import Requests, in_memory
from recsys.qilin.synthetic.oracle import Chances
from recsys.qilin.synthetic.published import Published


class PublishedKnowledge:
    """Knowledge of a published world of some influence; its cells are the head notes, then the tail's shelves."""

    def __init__(self, world: Published, influence: float) -> None:
        self._world, self._influence = world, influence
        notes, search = world.notes, world.search
        self._topics = len(notes.topics)
        self._head_topic = np.repeat(np.arange(self._topics), notes.size[HEAD])
        weight = np.diff(notes.summed)
        self._head_share = weight / np.bincount(self._head_topic, weight, self._topics)[self._head_topic]
        self._open = np.maximum(OPEN * notes.size[TAIL], 1.0)
        self._chain = Chain.of(world.browsing.past, self.requests)
        rank = np.cumsum(search.reformulates == OTHER)
        row = in_memory(self.requests.user, self.requests.start, search.requests, MEMORY)
        self._searched = Searched(np.where(row >= 0, rank[row], -1), self._chain, self._evidence)

    @property
    def requests(self) -> Requests:
        """The requests for recommendation."""
        return self._world.browsing.requests

    @property
    def searched(self) -> Searched:
        """What steers them; a search and those that reformulate it are one subject."""
        return self._searched

    def prior(self, rows: np.ndarray) -> np.ndarray:
        """Probability `[rows, topics]` of what the users of the requests search for."""
        weight = self._world.notes.topics
        return LIKED * self._liked(rows) + (1 - LIKED) * weight / weight.sum()

    def cells(self, note: np.ndarray) -> np.ndarray:
        """The cell of each note."""
        heads = self._world.notes.heads
        return np.where(note < heads, note, heads + self._topic_of(note))

    def chances(self, rows: np.ndarray, belief: np.ndarray, clicks: np.ndarray) -> Chances:
        """Of requests with so many clicks, if the probabilities of the searched topic are `belief`."""
        liked, heads = self._liked(rows), self._world.notes.heads
        active = belief.sum(axis=1, keepdims=True) > 0
        steered = self._influence * active
        before = self._world.browsing.before[rows]
        now = np.where(before[:, None] >= 0, before[:, None] == np.arange(self._topics), liked)
        first, total = np.zeros_like(liked), np.zeros_like(liked)
        for step in range(int(clicks.max(initial=0))):
            now = steered * belief + (1 - steered) * (SUCCESSION * now + (1 - SUCCESSION) * liked)
            total = total + now * (step < clicks)[:, None]
            first = first if step else now

        row, click = self._chain.before(self.requests, rows)
        head = self._chain.note[click] < heads
        row, note = row[head], self._chain.note[click][head]
        unseen = np.ones((len(rows), heads))
        unseen[row, note] = 0.0
        seen = np.zeros_like(liked)
        np.add.at(seen, (row, self._head_topic[note]), self._head_share[note])
        rate = np.concatenate(
            [
                HEADED * total[:, self._head_topic] * self._head_share * unseen,
                (1 - HEADED + HEADED * np.minimum(seen, 1.0)) * total / self._open,
            ],
            axis=1,
        )
        weight = self._world.notes.topics / self._world.notes.topics.sum()
        steers = active & (self._influence > 0)
        mix = np.where(steers, REC.on_topic * belief + REC.liked * liked, (REC.on_topic + REC.liked) * liked)
        mix = mix + (1 - REC.on_topic - REC.liked) * weight
        shown = np.concatenate(
            [REC.headed * mix[:, self._head_topic] * self._head_share, (1 - REC.headed) * mix / self._open], axis=1
        )
        size = np.concatenate([unseen, np.broadcast_to(self._open, liked.shape)], axis=1)
        return Chances(size, -np.expm1(-rate), shown, first)

    def _liked(self, rows: np.ndarray) -> np.ndarray:
        liked: np.ndarray = self._world.liked.share[self.requests.user[rows]]
        return liked

    def _topic_of(self, note: np.ndarray) -> np.ndarray:
        """The shelf's topic of each note that is on one."""
        first = self._world.notes.first.ravel()
        topic: np.ndarray = (np.searchsorted(first, note, "right") - 1) % self._topics
        return topic

    def _evidence(self, click: np.ndarray) -> np.ndarray:
        """Logarithm `[n, topics]` of the likelihood of each topic to be the searched one, given clicks of the chain."""
        about, previous = self._topic_of(self._chain.note[click]), self._chain.previous[click]
        before = self._topic_of(self._chain.note[previous])
        liked = self._world.liked.share[self._chain.user[click], about]
        browsed = np.where(previous >= 0, SUCCESSION * (before == about) + (1 - SUCCESSION) * liked, liked)
        searched = about[:, None] == np.arange(self._topics)
        likelihood = self._influence * searched + (1 - self._influence) * browsed[:, None]
        logarithm: np.ndarray = np.log(np.maximum(likelihood, 1e-300))
        return logarithm
