"""The gate: whatever a user does at or after a request's start, the model's vector for it must be the same to the bit.

Metrics miss leaks: a model that sees a later query can still be worse than one that sees none. So the real requests are
answered twice, by the data as it is and by data in which all that lies ahead of them is another, through the very code
that serves training and test.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from recsys.data import SequenceData
from recsys.data.batches import assemble, request_rows, training_rows
from recsys.data.dataset import SPLITS, Dataset
from recsys.data.histories import histories
from recsys.data.ragged import Ragged
from recsys.models import Model

ROUNDING = 1e-4
"""Of a vector's largest number: what the shape of a training batch may change. At prediction nothing may."""
_CHUNK = 256


@dataclass(frozen=True)
class Invariance:
    """What became of the vectors of some requests, one for each user and round, when the data was changed."""

    requests: int
    changed: int
    """Vectors that another future changed; every one is a leak."""
    training_points: int
    training_changed: int
    """The same at the points of training, beyond rounding."""
    searched: int
    """Requests that see a search."""
    read: int
    """Vectors of these that other visible searches changed: whether the model reads them at all."""

    @property
    def holds(self) -> bool:
        """Whether nothing of the future was seen."""
        return not (self.changed or self.training_changed)


@torch.no_grad()
def invariance(network: Model, data: SequenceData, rounds: int = 2, seed: int = 0) -> Invariance:
    """Answer one test request of each user, and one of training, `rounds` times, by real and by changed data."""
    network = network.eval()
    rng = np.random.default_rng(seed)
    counts = np.zeros(6, np.int64)
    for _ in range(rounds):
        for split, training in (("test", False), ("train", True)):
            chosen = _one_each(data.dataset, split, rng)
            before, searched = _vectors(network, data, data.dataset, chosen, split, training)
            after, _ = _vectors(network, data, _another_future(data, chosen, rng), chosen, split, training)
            changed = _differ(before, after, ROUNDING if training else 0.0)
            counts[2 * training : 2 * training + 2] += len(before), changed.sum()
            if not training:
                other, _ = _vectors(network, data, _other_texts(data.dataset), chosen, split, training)
                counts[4:] += searched.sum(), (_differ(before, other, 0.0) & searched).sum()
    return Invariance(*map(int, counts))


def _one_each(dataset: Dataset, split: str, rng: np.random.Generator) -> np.ndarray:
    """One request of `split` for each user who has any, `[users]` of them."""
    rows = rng.permutation(np.flatnonzero(dataset.requests.split == SPLITS.index(split)))
    return np.sort(rows[np.unique(dataset.requests.user[rows], return_index=True)[1]])


def _another_future(data: SequenceData, chosen: np.ndarray, rng: np.random.Generator) -> Dataset:
    """The data set with other clicks, searches and times from each chosen request on, its own targets included."""
    dataset, requests = data.dataset, data.dataset.requests
    start = np.full(len(dataset.users), np.iinfo(np.int64).max // 4)
    start[requests.user[chosen]] = requests.timestamp[chosen]
    events, searches = dataset.events, dataset.searches
    assert searches is not None

    def later(user: np.ndarray, timestamp: np.ndarray) -> np.ndarray:
        return timestamp + np.maximum(timestamp - start[user], 0)  # in the same order, at twice the distance

    def others(item: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        moved = 1 + (item - 1 + rng.integers(1, max(2, len(dataset.items) - 1), len(item))) % (len(dataset.items) - 1)
        return np.where(ahead & (item > 0), moved, item)

    ahead = events.timestamp >= start[events.user]
    if requests.order is not None:  # the order of the file tells, not the clock
        number = np.arange(len(events.user)) - np.searchsorted(events.user, events.user)
        order = np.full(len(start), np.iinfo(np.int64).max)
        order[requests.user[chosen]] = requests.order[chosen]
        ahead = number >= order[events.user]
    asked = requests.timestamp >= start[requests.user]
    hidden = searches.timestamp >= start[searches.user] - data.search_margin
    kept = ~hidden | (rng.random(len(hidden)) < 0.5)
    told = np.where(hidden, rng.integers(0, max(1, len(hidden)), len(hidden)), np.arange(len(hidden)))
    target = Ragged(requests.target.offsets, others(requests.target.values, asked[requests.target.group]))
    return replace(
        dataset,
        events=replace(
            events,
            item=others(events.item, ahead),
            timestamp=np.where(ahead, later(events.user, events.timestamp), events.timestamp),
        ),
        requests=replace(requests, timestamp=later(requests.user, requests.timestamp), target=target),
        searches=replace(
            searches,
            user=searches.user[kept],
            timestamp=later(searches.user, searches.timestamp)[kept],
            split=searches.split[kept],
            type=np.where(hidden, 1 + searches.type % 8, searches.type)[kept],
            gram=searches.gram[told][kept],
        ),
    )


def _other_texts(dataset: Dataset) -> Dataset:
    """The data set with another text for each search."""
    assert dataset.searches is not None
    return replace(dataset, searches=replace(dataset.searches, gram=np.roll(dataset.searches.gram, 1, axis=0)))


def _vectors(
    network: Model, data: SequenceData, dataset: Dataset, chosen: np.ndarray, split: str, training: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Of the chosen requests, in their order: vectors `[requests, dim]`, and whether their rows hold a search."""
    known = histories(dataset, split, data.search_margin)
    rows = training_rows(known, data.max_len, data.stride) if training else request_rows(known, data.max_len)
    row_of = np.full(len(dataset.requests.id), -1)
    row_of[known.request[rows.point.values]] = rows.point.group
    found, searched = [], []
    for part in _chunks(chosen):
        batch = assemble(dataset, known, rows, row_of[part], training)
        numbers = batch.request.numpy()
        point = np.argsort(numbers)[np.searchsorted(np.sort(numbers), part)]
        found.append(network.encode(batch).float().numpy()[point])
        searched.append(np.isin(batch.point_row.numpy()[point], batch.search_row.numpy()))
    return np.concatenate(found), np.concatenate(searched)


def _chunks(chosen: np.ndarray) -> Iterator[np.ndarray]:
    yield from np.array_split(chosen, -(-len(chosen) // _CHUNK))


def _differ(a: np.ndarray, b: np.ndarray, tolerance: float) -> np.ndarray:
    """`[requests]` bool: whether any number differs by more than `tolerance` times the largest."""
    return np.abs(a - b).max(1) > tolerance * np.abs(a).max(1)
