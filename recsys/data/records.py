"""What a data set is made of, as arrays: clicks, requests and searches."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys.data.ragged import Ragged


@dataclass(frozen=True)
class Events:
    """Clicks sorted by user and time."""

    user: np.ndarray
    item: np.ndarray
    """0 where the item is not in the vocabulary."""
    timestamp: np.ndarray
    split: np.ndarray
    """Index into `recsys.data.dataset.SPLITS`."""


@dataclass(frozen=True)
class Requests:
    """What is to be predicted: a user, a moment, and the items clicked then."""

    id: Sequence[str]
    user: np.ndarray
    timestamp: np.ndarray
    split: np.ndarray
    order: np.ndarray | None
    """Number of the user's events before the request, where the file's order and not the clock tells."""
    target: Ragged
    """Clicked items per request, 0 where the item is not in the vocabulary."""
    candidate: Ragged | None
    """Exposed items per request."""
    clicked: np.ndarray | None
    """`[candidates]` bool."""
    position: np.ndarray | None = None
    """`[candidates]` where on the user's screen each was exposed, from 1 on, where that is known."""
    delivered: Ragged | None = None
    """Items of the window delivered with each request, oldest first, where that and no other history is to be used."""


@dataclass(frozen=True)
class Searches:
    """Queries sorted by user and time."""

    user: np.ndarray
    timestamp: np.ndarray
    split: np.ndarray
    type: np.ndarray
    gram: np.ndarray
    """`[searches, grams]` hashed character n-grams."""
    clicked: Ragged | None = None
    """Items clicked among each search's results, 0 where one is not in the vocabulary."""

    @cached_property
    def known_clicks(self) -> Ragged | None:
        """Those in the vocabulary."""
        return None if self.clicked is None else self.clicked.known()
