"""What a model is measured against: chance, popularity, the order of exposure, and the best that was possible."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recsys.data.dataset import Dataset
from recsys.data.ragged import Ragged, offsets_of, ranges
from recsys.ranking import pad_ranked, random_k, rank_candidates, rank_scores, shared_k, top_k
from recsys.training.protocols import Questions

RECENT = 0.1
"""Share of the training clicks, the latest, that "recent" counts."""


class Ranker:
    """Answers requests; what a ranker has no answer to, it leaves out."""

    def catalogue(self, questions: Questions, rows: np.ndarray, k: int) -> np.ndarray | None:
        """Ids `[requests, k]` of the best of the whole vocabulary for the requests `rows`, 0 behind them."""
        return None

    def candidates(self, listed: Ragged, positions: np.ndarray, exposed: np.ndarray | None) -> np.ndarray | None:
        """The order, as of `rank_candidates`, of the candidates of some requests.

        Args:
            listed: their ids, 0 where unknown.
            positions: where each stands in the list of all requests' candidates.
            exposed: the place on the screen of each, where that is known.
        """
        return None


def _no_rating(candidates: Tensor) -> None:
    return None


@dataclass(frozen=True)
class Scored(Ranker):
    """A model's answers to one batch: vectors `[points, dim]` and the item table, or the scores `[points, items]`."""

    vectors: Tensor
    table: Tensor | None
    rate: Callable[[Tensor], Tensor | None] = _no_rating
    """Scores `[points, k]` of candidates `[points, k]`, from a model that rates given ones otherwise."""

    def catalogue(self, questions: Questions, rows: np.ndarray, k: int) -> np.ndarray | None:
        """By dot product."""
        seen = questions.excluded(rows)
        ids, _ = top_k(self.vectors, self.table, k, (seen.offsets, seen.values))
        return ids.cpu().numpy()

    def candidates(self, listed: Ragged, positions: np.ndarray, exposed: np.ndarray | None) -> np.ndarray | None:
        """By dot product, where the model has no other way."""
        shown = torch.from_numpy(listed.padded()).to(self.vectors.device)
        found = self.rate(shown)
        if found is not None:
            place, _ = ranges(np.zeros_like(listed.lengths), listed.lengths)
            scores = found.float().cpu().numpy()[listed.group, place]
            return rank_scores(listed.offsets, scores, listed.values == 0, positions=positions)
        return rank_candidates(self.vectors, self.table, listed.offsets, listed.values, positions=positions)


class Static(Ranker):
    """One score for each item, whoever asks."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores
        self.order = 1 + np.argsort(-scores[1:], kind="stable")

    def catalogue(self, questions: Questions, rows: np.ndarray, k: int) -> np.ndarray | None:
        """The same list for all, but for what they have seen."""
        seen = questions.excluded(rows)
        return shared_k(self.order, k, (seen.offsets, seen.values))

    def candidates(self, listed: Ragged, positions: np.ndarray, exposed: np.ndarray | None) -> np.ndarray | None:
        """By score."""
        return rank_scores(listed.offsets, self.scores[listed.values], listed.values == 0, positions=positions)


class Chance(Ranker):
    """Any order."""

    def catalogue(self, questions: Questions, rows: np.ndarray, k: int) -> np.ndarray | None:
        """Items drawn for each request."""
        seen = questions.excluded(rows)
        return random_k(len(questions.dataset.items), k, (seen.offsets, seen.values), 0, rows)

    def candidates(self, listed: Ragged, positions: np.ndarray, exposed: np.ndarray | None) -> np.ndarray | None:
        """Shuffled."""
        return rank_scores(listed.offsets, np.zeros(len(listed.values)), positions=positions)


class Position(Ranker):
    """The order in which the request exposed its items."""

    def candidates(self, listed: Ragged, positions: np.ndarray, exposed: np.ndarray | None) -> np.ndarray | None:
        """By place on the screen."""
        return None if exposed is None else rank_scores(listed.offsets, -exposed, positions=positions)


class Ceiling(Ranker):
    """The best list over the vocabulary: what was clicked, as far as it may be recommended."""

    def catalogue(self, questions: Questions, rows: np.ndarray, k: int) -> np.ndarray | None:
        """The known targets."""
        target, seen = questions.dataset.requests.target.take(rows), questions.excluded(rows)
        row, forbidden = (np.repeat(np.arange(len(rows)), part.lengths) for part in (target, seen))
        size = len(questions.dataset.items)
        number = row * size + target.values
        kept = np.zeros(len(number), bool)
        kept[np.unique(number, return_index=True)[1]] = True
        kept &= (target.values > 0) & ~np.isin(number, forbidden * size + seen.values)
        offsets = offsets_of(np.bincount(row[kept], minlength=len(rows)))
        places = pad_ranked(offsets, np.arange(offsets[-1]), k)
        return np.append(0, target.values[kept])[places]


def popularity(dataset: Dataset) -> np.ndarray:
    """Training clicks of each item `[items]`, 0 for padding."""
    return _clicks(dataset, np.ones(len(dataset.events.item), bool))


def recency(dataset: Dataset) -> np.ndarray:
    """Score of each item `[items]`: clicks among the latest tenth of the training clicks, then all training clicks."""
    events = dataset.events
    times = events.timestamp[(events.split == 0) & (events.item > 0)]
    late = events.timestamp >= np.quantile(times, 1 - RECENT, method="higher") if len(times) else events.item < 0
    both = np.stack([_clicks(dataset, late), popularity(dataset)], axis=1)
    return np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)


def _clicks(dataset: Dataset, chosen: np.ndarray) -> np.ndarray:
    events = dataset.events
    return np.bincount(events.item[chosen & (events.split == 0) & (events.item > 0)], minlength=len(dataset.items))


def baselines(questions: Questions) -> dict[str, Ranker]:
    """Every baseline by its name, which precedes those of its metrics as in popular/exposed/ndcg@10."""
    dataset = questions.dataset
    return {
        "ceiling": Ceiling(),
        "popular": Static(popularity(dataset)),
        "recent": Static(recency(dataset)),
        "random": Chance(),
        "position": Position(),
    }
