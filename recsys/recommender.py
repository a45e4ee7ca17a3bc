"""Recommend for anyone: a checkpoint folder and a list of item ids, no data set at hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from recsys import checkpoints
from recsys.errors import InputError
from recsys.models.batch import Batch
from recsys.models.text import gram_matrix, normalize
from recsys.ranking import top_k

TYPED = 1
"""Qilin's query_from_type of a query that its user typed."""


@dataclass(frozen=True)
class Explanation:
    """What one score is made of, in two ways: `history + searches`, and `id + content`, each exactly the score."""

    history: float
    """The score without the queries."""
    searches: float
    """What the queries add to that, all together."""
    queries: list[tuple[str, float]]
    """Each query and what it adds to the others: the score less that without it. They interact: no total is theirs."""
    id: float | None
    """The part of the score by the item's own vector; None where scores are no dot products."""
    content: float | None
    """The part by its title and categories; None where the model does not read them."""


@dataclass(frozen=True)
class Recommendations:
    """Items in rank order, and what was done with the input to get there."""

    item_ids: list[str]
    scores: list[float]
    unknown: list[str]
    """Ids of the history that the model does not know; they had no influence."""
    reason: Literal["model", "popularity"]
    """"popularity" when there was neither a known item nor a query to go by."""
    ignored_queries: bool
    """True when queries were given to a model that does not read them."""
    explanations: list[Explanation] = field(default_factory=list)
    """One for each item where they were asked for and a model gave the scores."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        """Pairs (item_id, score)."""
        return iter(zip(self.item_ids, self.scores, strict=True))


class Recommender:
    """A loaded checkpoint that answers histories of external item ids."""

    def __init__(self, checkpoint: checkpoints.Checkpoint, device: str = "cpu") -> None:
        if checkpoint.network.embeds_users:
            raise InputError(
                f"{checkpoint.network.title} has a vector for each user of its data set and none for anyone else: "
                "`recsys predict` answers for those users; to recommend for others, train a model that embeds none."
            )
        self.items = checkpoint.items
        self.network = checkpoint.network.to(device).eval()
        self.metrics = checkpoint.metrics
        self._popularity = torch.from_numpy(checkpoint.popularity).to(device, torch.float32)
        with torch.inference_mode():
            self._table = self.network.item_vectors()

    @classmethod
    def from_pretrained(cls, source: str | Path, device: str = "cpu") -> "Recommender":
        """Verify and load a checkpoint: a folder, a name in the zoo's list, or an address (`checkpoints.fetch`).

        Raises:
            InputError: it is missing, damaged, or not a checkpoint; a model that knows only its own users.
        """
        return cls(checkpoints.load(checkpoints.fetch(source)), device)

    def recommend(
        self,
        history: Sequence[str | int],
        queries: Sequence[str] = (),
        k: int = 10,
        exclude_seen: bool = True,
        unknown: Literal["raise", "drop"] = "raise",
        timestamps: Sequence[float] | None = None,
        now: float | None = None,
        explain: bool = False,
    ) -> Recommendations:
        """The `k` items that come next for a user who clicked `history` (oldest first) and then typed `queries`.

        Models that read times take only differences from `timestamps`, the seconds at which the items were clicked, and
        `now`, that of the request (default: the last click's). Without them everything happened in one second. With
        `explain`, each score is taken apart.

        Raises:
            InputError: `k` below 1, an unknown item under `unknown="raise"`, a history of unknown items only, times
                that are not one for each item in ascending order.
        """
        if k < 1:
            raise InputError(f"k is {k}: ask for at least 1 item.")
        if isinstance(history, str) or isinstance(queries, str):
            raise InputError("history and queries are lists of strings, not one string: put it in brackets.")
        given = [str(item) for item in history]
        encoded = self.items.encode(given)
        missing = [item for item, i in zip(given, encoded, strict=True) if i == 0]
        if missing and (unknown == "raise" or len(missing) == len(given)):
            raise InputError(
                f"{len(missing)} of {len(given)} items of the history are unknown to the model, the first is "
                f"{missing[0]!r}. It knows {len(self.items) - 1} items, such as {', '.join(self.items.tokens[:3])}."
            )
        times = _seconds(given, timestamps, now)[np.append(encoded > 0, True)]
        known = torch.from_numpy(encoded[encoded > 0])
        typed = [query for query in queries if normalize(query)] if self.network.uses_searches else []
        by_model = len(known) > 0 or bool(typed)
        with torch.inference_mode():
            if by_model:
                vector, table = self.network.encode(self._batch(known, typed, times)), self._table
            else:
                vector, table = self._popularity.new_ones(1, 1), self._popularity[:, None]
            seen = known.unique() if exclude_seen else known[:0]
            offsets = torch.tensor([0, len(seen)])
            ids, scores = top_k(vector, table, k, (offsets, seen))
        found = ids[0][ids[0] > 0]
        return Recommendations(
            item_ids=self.items.decode(found.cpu().numpy()),
            scores=scores[0][: len(found)].tolist(),
            unknown=missing,
            reason="model" if by_model else "popularity",
            ignored_queries=bool(queries) and not self.network.uses_searches,
            explanations=self._explained(found, known, typed, times) if explain and by_model else [],
        )

    @torch.inference_mode()
    def _explained(
        self, ids: torch.Tensor, known: torch.Tensor, queries: list[str], times: np.ndarray
    ) -> list[Explanation]:
        """Take the scores of the items apart: by leaving queries out, and by what their vectors are the sum of."""

        def vector(visible: list[str]) -> torch.Tensor:
            return self.network.encode(self._batch(known, visible, times))[0]

        def scores(visible: list[str]) -> torch.Tensor:
            return vector(visible)[ids] if self._table is None else self._table[ids] @ vector(visible)

        whole, history = scores(queries), scores([])
        others = [scores(queries[:i] + queries[i + 1 :]) for i in range(len(queries))]
        parts = {name: part @ vector(queries) for name, part in self.network.item_parts(ids).items()}
        return [
            Explanation(
                history=float(history[i]),
                searches=float(whole[i] - history[i]),
                queries=[(query, float(whole[i] - other[i])) for query, other in zip(queries, others, strict=True)],
                id=float(parts["id"][i]) if "id" in parts else None,
                content=float(parts["content"][i]) if "content" in parts else None,
            )
            for i in range(len(ids))
        ]

    def _batch(self, known: torch.Tensor, queries: Sequence[str], times: np.ndarray) -> Batch:
        """One row, one point; the queries are the newest thing that is known of the user."""
        history = known[-self.network.hyperparameters["max_len"] :]
        item = history if len(history) else torch.zeros(1, dtype=torch.int64)
        time = torch.from_numpy(times)[-len(item) - 1 :] if len(history) else torch.zeros(2, dtype=torch.int64)
        gram = torch.from_numpy(gram_matrix(queries))
        nothing = torch.zeros(0, dtype=torch.int64)
        last = len(item) - 1
        return Batch(
            item=item[None],
            timestamp=time[None, :-1],
            request_timestamp=time[None, 1:],
            next_item=torch.zeros(1, dtype=torch.int64),
            point_row=torch.zeros(1, dtype=torch.int64),
            point_position=torch.tensor([last]),
            request=torch.zeros(1, dtype=torch.int64),
            target_point=nothing,
            target_item=nothing,
            search_row=torch.zeros(len(gram), dtype=torch.int64),
            search_position=torch.full((len(gram),), last),
            search_type=torch.full((len(gram),), TYPED),
            search_gram=gram,
        ).to(self._popularity.device)


def _seconds(history: list[str], timestamps: Sequence[float] | None, now: float | None) -> np.ndarray:
    """`[items + 1]` whole seconds of the clicks and of the request; all 0 when nothing is known."""
    if timestamps is None:
        if now is not None:
            raise InputError("now says something only beside timestamps: give the times of the history too.")
        return np.zeros(len(history) + 1, np.int64)
    if len(timestamps) != len(history):
        raise InputError(f"{len(timestamps)} timestamps for {len(history)} items of the history: give one for each.")
    last = timestamps[-1] if len(timestamps) else 0
    times = np.array([*timestamps, last if now is None else now], np.float64)
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise InputError("timestamps, and now behind them, must be numbers of seconds in ascending order.")
    return np.floor(times).astype(np.int64)
