"""The notes of the published world: pools that are recommended, found by searching, or clicked before the day.

Within a pool the notes of a topic have consecutive numbers, its shelf, so that a draw is arithmetic.
"""

from dataclasses import dataclass

import numpy as np

# Notes of each pool at full size. 32 % of the recommended clicks go to 8,000 head notes by weight (rank + 5)^-0.7, the
# others to a long tail; the sum is less than all notes, and the rest are never seen.
HEAD, TAIL, FOUND, PAST = range(4)
_SIZES = (8_000, 1_030_000, 650_000, 150_000)
OPEN = 0.275  # share of a shelf of the tail that is recommended at a time: the window moves on as notes are published


@dataclass(frozen=True)
class Catalogue:
    """Shelves of notes.

    Attributes:
        notes: how many there are, unseen ones included.
        topics: weight of each topic.
        first, size: `[pools, topics]`, the first note of each shelf and how many it has.
        summed: weights of the head notes summed up to each, from 0.
    """

    notes: int
    topics: np.ndarray
    first: np.ndarray
    size: np.ndarray
    summed: np.ndarray

    @property
    def heads(self) -> int:
        """Head notes; their numbers come first."""
        return len(self.summed) - 1

    def topic(self, rng: np.random.Generator) -> np.ndarray:
        """The topic of each note; of an unseen one, any."""
        shelved = np.repeat(np.tile(np.arange(len(self.topics)), len(_SIZES)), self.size.ravel())
        unseen = rng.integers(0, len(self.topics), self.notes - len(shelved))
        return np.concatenate([shelved, unseen])

    def pool(self) -> np.ndarray:
        """The pool of each note; -1 if unseen."""
        shelved = np.repeat(np.arange(len(_SIZES)), self.size.sum(axis=1))
        return np.concatenate([shelved, np.full(self.notes - len(shelved), -1)])

    def head(self, topic: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """A head note of each topic by weight, from `uniform` numbers in [0, 1)."""
        first, last = self.first[HEAD][topic], self.first[HEAD][topic] + self.size[HEAD][topic]
        target = self.summed[first] + uniform * (self.summed[last] - self.summed[first])
        drawn: np.ndarray = np.clip(np.searchsorted(self.summed, target, "right") - 1, first, last - 1)
        return drawn

    def tail(self, topic: np.ndarray, uniform: np.ndarray, moment: np.ndarray) -> np.ndarray:
        """A tail note of each topic that is recommended at a `moment`, from 0 for the day's first request to 1."""
        return self.any(TAIL, topic, moment * (1 - OPEN) + uniform * OPEN)

    def any(self, pool: int, topic: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """A note of a pool and of each topic, all alike."""
        size = self.size[pool][topic]
        return self.first[pool][topic] + np.minimum((uniform * size).astype(np.int64), size - 1)


def catalogue(notes: int, topics: int, scale: float, rng: np.random.Generator) -> Catalogue:
    """So many notes in pools that are `scale` of their full size."""
    weight = (np.arange(topics) + 10.0) ** -0.7
    weight = rng.permutation(weight / weight.sum())
    size = np.stack([np.maximum(np.round(pool * scale * weight), 3).astype(np.int64) for pool in _SIZES])
    first = (np.cumsum(size) - size.ravel()).reshape(size.shape)
    heads = int(size[HEAD].sum())
    popularity = (rng.permutation(heads) / scale + 5.0) ** -0.7
    return Catalogue(max(notes, int(size.sum())), weight, first, size, np.concatenate([[0.0], np.cumsum(popularity)]))
