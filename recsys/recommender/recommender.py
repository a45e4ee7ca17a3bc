"""From questions to ranked items: a loaded checkpoint, for one user or for many."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
import torch

from recsys import checkpoints
from recsys.errors import InputError
from recsys.models.batch import Batch
from recsys.ranking import top_k
from recsys.ranking.approximate import Index
from recsys.recommender.answers import Recommendations
from recsys.recommender.explaining import explained
from recsys.recommender.questions import Questions, Unknown, batch_of, questions

Frame = TypeVar("Frame")

_ROWS = 64
"""Histories that are encoded at once: their states stay in a core's cache."""
_VECTORS = 16_384
"""Vectors that are ranked at once."""
_SCORES = 1 << 24
"""Scores that are ranked at once of a model that has no item vectors: 64 MiB."""


@dataclass(frozen=True)
class Ranked:
    """Item numbers `[users, k]`, 0 behind the last, and their scores; whether the model gave them `[users]`."""

    ids: np.ndarray
    scores: np.ndarray
    by_model: np.ndarray


class Recommender:
    """A loaded checkpoint that answers histories of external item ids.

    Args:
        checkpoint: As `checkpoints.load` gives it.
        device: Where the model and its table lie.
        approximate: Search the catalogue through an index of its item vectors that misses a few of the best items and
            need not look at most (`recsys.ranking.approximate`); needs the extra "ann".
    """

    def __init__(self, checkpoint: checkpoints.Checkpoint, device: str = "cpu", approximate: bool = False) -> None:
        if checkpoint.network.embeds_users:
            raise InputError(
                f"{checkpoint.network.title} has a vector for each user of its data set and none for anyone else: "
                "`recsys predict` answers for those users; to recommend for others, train a model that embeds none."
            )
        self.items = checkpoint.items
        self.network = checkpoint.network.to(device).eval()
        self.metrics = checkpoint.metrics
        self.popularity = checkpoint.popularity
        self.numbers = {token: i for i, token in enumerate(checkpoint.items.tokens, 1)}
        """Of the items' external ids."""
        self._popularity = torch.from_numpy(checkpoint.popularity).to(device, torch.float32)
        with torch.inference_mode():
            self._table = self.network.item_vectors()
        if approximate and self._table is None:
            raise InputError(f"{checkpoint.network.title} has no item vectors that an index could be made of.")
        self._index = Index(self._table) if approximate and self._table is not None else None

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str = "cpu", approximate: bool = False) -> "Recommender":
        """Verify and load a checkpoint folder.

        Raises:
            InputError: the folder is missing, damaged, or not a checkpoint; a model that knows only its own users.
        """
        return cls(checkpoints.load(Path(folder)), device, approximate)

    def recommend(
        self,
        history: Sequence[str | int],
        queries: Sequence[str] = (),
        k: int = 10,
        exclude_seen: bool = True,
        unknown: Unknown = "raise",
        timestamps: Sequence[float] | None = None,
        now: float | None = None,
        explain: bool = False,
        candidates: Sequence[str | int] | None = None,
    ) -> Recommendations:
        """The `k` items that come next for a user who clicked `history` (oldest first) and then typed `queries`.

        Nothing to go by, no known item and no query, is answered with the most popular items, and `reason` says so.
        Models that read times take only differences from `timestamps`, the seconds at which the items were clicked, and
        `now`, that of the request (default: the last click's). Without them everything happened in one second. With
        `explain`, each score is taken apart. With `candidates`, no other items are recommended.

        Raises:
            InputError: `k` below 1, an unknown item under `unknown="raise"`, times that are not one for each item in
                ascending order.
        """
        asked = questions(self.numbers, [history], [queries], [timestamps], [now], unknown, lambda _: "")
        allowed, strangers = self.candidates(candidates, unknown)
        ranked = self.rank(asked, k, allowed, exclude_seen)
        (answer,) = self._answers(asked, ranked, [queries], strangers)
        if explain and answer.reason == "model":
            ids = torch.from_numpy(ranked.ids[0][ranked.ids[0] > 0]).to(self._popularity.device)
            queries = asked.queries[0] if self.network.uses_searches else []

            def batch(visible: list[str]) -> Batch:
                return self._batch(replace(asked, queries=[visible]), [0])

            return replace(answer, explanations=explained(self.network, self._table, batch, queries, ids))
        return answer

    def recommend_many(
        self,
        histories: Sequence[Sequence[str | int]],
        queries: Sequence[Sequence[str] | None] | None = None,
        k: int = 10,
        exclude_seen: bool = True,
        unknown: Unknown = "raise",
        timestamps: Sequence[Sequence[float] | None] | None = None,
        now: Sequence[float | None] | None = None,
        candidates: Sequence[str | int] | None = None,
    ) -> list[Recommendations]:
        """What `recommend` answers to each of many users, in batches; `candidates` are the same for all.

        Raises:
            InputError: as `recommend`, naming the user by number; lists that are not one entry for each user.
        """
        asked = questions(self.numbers, histories, queries, timestamps, now, unknown, lambda i: f"user {i}: ")
        allowed, strangers = self.candidates(candidates, unknown)
        return self._answers(asked, self.rank(asked, k, allowed, exclude_seen), queries, strangers)

    def recommend_frame(
        self,
        frame: Frame,
        k: int = 10,
        exclude_seen: bool = True,
        unknown: Unknown = "drop",
        candidates: Sequence[str | int] | None = None,
    ) -> Frame:
        """A Polars or pandas frame of users as a frame of the same kind: one row for each user and recommended item.

        Either one row per user, with lists in `history` and, where there are any, `queries` and `timestamps`, and with
        `now`; or a log of one row per click, with `user_id`, `item_id` and, where it is known, `timestamp`. What comes
        back has `user_id` (or `row`, from 0), `rank` from 1, `item_id`, `score`, `reason` as `Recommendations` has it,
        and in `unknown` how many ids of the user's history the model does not know.

        Raises:
            InputError: a column that is missing or of another type; what `recommend` refuses.
        """
        from recsys.recommender import frames

        polars, back = frames.polars_of(frame)
        return back(frames.answered(self, frames.asked_of(polars), k, exclude_seen, unknown, candidates))

    @torch.inference_mode()
    def rank(self, asked: Questions, k: int, candidates: np.ndarray | None, exclude_seen: bool) -> Ranked:
        """The best `k` items for each user: of all, or of the numbers of `candidates` `[n]`, ascending."""
        if k < 1:
            raise InputError(f"k is {k}: ask for at least 1 item.")
        by_model = self._answerable(asked)
        ids, scores = np.zeros((len(asked), k), np.int64), np.full((len(asked), k), -np.inf, np.float32)
        users = np.flatnonzero(by_model)
        # By length, so that little is padded; the order of the answers is the users'.
        users = users[np.argsort(np.minimum(np.diff(asked.offsets)[users], self._max_len), kind="stable")]
        for start in range(0, len(users), self._at_once):
            part = users[start : start + self._at_once]
            rows = [part[i : i + _ROWS] for i in range(0, len(part), _ROWS)]
            vectors = torch.cat([self.network.encode(self._batch(asked, row)) for row in rows])
            ids[part], scores[part] = self._best(vectors, self._table, k, candidates, asked, part, exclude_seen)
        others = np.flatnonzero(~by_model)
        if len(others):  # nothing is known of them: one list for all
            column = self._popularity[:, None]
            ids[others], scores[others] = self._best(
                column.new_ones(1, 1), column, k, candidates, asked, others[:1], exclude_seen
            )
        return Ranked(ids, scores, by_model)

    def item_ids(self, integers: bool) -> pl.Series:
        """The external ids of the items 1, 2, …, as integers where that is asked for and all of them are some."""
        return self._integers if integers and self._integers is not None else self._tokens

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of all that an answer depends on: the kind of model, its weights, its items and their popularity."""
        digest = hashlib.sha256(f"{type(self.network).__name__} {self.items.sha256} {self._index is None}".encode())
        digest.update(json.dumps(self.network.hyperparameters, sort_keys=True).encode())
        for tensor in (*self.network.state_dict().values(), self._popularity):
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()

    @cached_property
    def _tokens(self) -> pl.Series:
        return pl.Series(self.items.tokens, dtype=pl.String)

    @cached_property
    def _integers(self) -> pl.Series | None:
        numbers = self._tokens.cast(pl.Int64, strict=False)
        return numbers if (numbers.cast(pl.String) == self._tokens).all(ignore_nulls=False) else None

    def _answerable(self, asked: Questions) -> np.ndarray:
        """`[users]` bool: whether there is an item, or a query that the model reads, to go by."""
        typed = np.array([bool(each) for each in asked.queries], bool) & self.network.uses_searches
        return (np.diff(asked.offsets) > 0) | typed

    def _best(
        self,
        vectors: torch.Tensor,
        table: torch.Tensor | None,
        k: int,
        candidates: np.ndarray | None,
        asked: Questions,
        users: np.ndarray,
        exclude_seen: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Item numbers and scores `[users, k]` of the best for these `users`, whose `vectors` are given."""
        histories = [asked.item[asked.offsets[i] : asked.offsets[i + 1]] if exclude_seen else () for i in users]
        seen = np.concatenate([np.zeros(0, np.int64), *histories])
        offsets = np.concatenate([[0], np.cumsum([len(each) for each in histories], dtype=np.int64)])
        if candidates is None:
            if self._index is not None and table is self._table:
                ids, scores = self._index.top_k(vectors, k, (offsets, seen))
            else:
                ids, scores = top_k(vectors, table, k, (offsets, seen))
            return ids.cpu().numpy(), scores.cpu().numpy()
        rows = torch.from_numpy(np.concatenate([[0], candidates])).to(vectors.device)
        vectors, table = (vectors[:, rows], None) if table is None else (vectors, table[rows])
        place = np.searchsorted(candidates, seen)
        inside = place < len(candidates)
        inside[inside] = candidates[place[inside]] == seen[inside]
        ids, scores = top_k(vectors, table, k, (offsets, np.where(inside, place + 1, 0)))
        return rows.cpu().numpy()[ids.cpu().numpy()], scores.cpu().numpy()

    def _batch(self, asked: Questions, users: Sequence[int] | np.ndarray) -> Batch:
        times, searches = self.network.uses_times, self.network.uses_searches
        return batch_of(asked, users, self._max_len, times, searches).to(self._popularity.device)

    @property
    def _at_once(self) -> int:
        return _VECTORS if self._table is not None else max(1, _SCORES // len(self.items))

    @property
    def _max_len(self) -> int:
        return int(self.network.hyperparameters["max_len"])

    def candidates(self, given: Sequence[str | int] | None, unknown: Unknown) -> tuple[np.ndarray | None, list[str]]:
        """Their numbers `[n]`, ascending, and those that the model does not know; None where all items are."""
        if given is None:
            return None, []
        if isinstance(given, str):
            raise InputError("candidates are a list of strings, not one string: put it in brackets.")
        names = [str(item) for item in given]
        strangers = [name for name in names if name not in self.numbers]
        if strangers and unknown == "raise":
            raise InputError(f"{len(strangers)} of {len(names)} candidates are unknown to the model: {strangers[0]!r}.")
        return np.unique([self.numbers[name] for name in names if name in self.numbers]).astype(np.int64), strangers

    def _answers(
        self,
        asked: Questions,
        ranked: Ranked,
        queries: Sequence[Sequence[str] | None] | None,
        strangers: list[str],
    ) -> list[Recommendations]:
        answers = []
        for i, (ids, scores) in enumerate(zip(ranked.ids, ranked.scores, strict=True)):
            found = ids > 0
            answers.append(
                Recommendations(
                    item_ids=self.items.decode(ids[found]),
                    scores=scores[found].tolist(),
                    unknown=asked.unknown[i] + strangers,
                    reason="model" if ranked.by_model[i] else "popularity",
                    ignored_queries=bool(queries and queries[i]) and not self.network.uses_searches,
                )
            )
        return answers
