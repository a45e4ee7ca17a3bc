"""Rank the requests of a split, batch by batch, and give every request its metrics under every protocol."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from recsys.data.ragged import Ragged, ranges
from recsys.metrics import evaluate, intra_list_distance, miscalibration, popularity
from recsys.ranking import pad_ranked
from recsys.training.baselines import Ranker
from recsys.training.protocols import PREFIX, Name, Questions


class Evaluation:
    """Collects the metrics of one ranker under some protocols.

    Args:
        questions: what is asked.
        protocols: those to evaluate under, as far as the ranker has answers.
        like: a ranker that answers under the same protocols; a process without any request knows the names by it.
        keep_lists: keep those of full ranking, to tell what they show beyond accuracy.
    """

    def __init__(self, questions: Questions, protocols: Sequence[Name], like: Ranker, keep_lists: bool = False) -> None:
        self.questions, self.protocols, self.keep_lists = questions, protocols, keep_lists
        self._lists: list[np.ndarray] = []
        self._request: list[np.ndarray] = []
        self._values: dict[str, list[np.ndarray]] = {}
        self.add(np.zeros(0, np.int64), like)

    def add(self, rows: np.ndarray, ranker: Ranker) -> None:
        """Take in the ranker's answers to the requests `rows`."""
        self._request.append(rows)
        found = self._catalogue(rows, ranker) | self._exposed(rows, ranker) | self._given(rows, ranker)
        for name, values in found.items():
            self._values.setdefault(name, []).append(values)

    @property
    def lists(self) -> np.ndarray | None:
        """Ids `[requests, largest cutoff]` int32 of full ranking, where they are kept and the ranker has any."""
        return np.concatenate(self._lists) if self._lists else None

    def add_popularity(self, clicks: np.ndarray) -> None:
        """After the last batch: how well known the listed items are, by the training clicks `[items]` of each."""
        if self.lists is not None and clicks[1:].any():
            found = popularity(self.lists, clicks, self.questions.cutoffs)
            self._values |= {PREFIX["full"] + name: [values] for name, values in found.items()}

    def add_kinds(self, all_kinds: np.ndarray, kinds: np.ndarray) -> None:
        """After the last batch: how different the listed items are, and whether their mix is that of the history.

        Args:
            all_kinds: categories `[items, most]` that tell items apart.
            kinds: those whose mix is looked at.
        """
        if self.lists is not None:
            seen, cutoffs = self.questions.seen(self.rows), self.questions.cutoffs
            found = intra_list_distance(self.lists, all_kinds, cutoffs)
            found |= miscalibration(self.lists, kinds, (seen.offsets, seen.values), cutoffs)
            self._values |= {PREFIX["full"] + name: [values] for name, values in found.items()}

    def totals(self) -> tuple[list[str], np.ndarray]:
        """Names, and `[2, groups, names]` sums of this process's values and how many they are sums of.

        The one group is all requests, or each user is one, as the mean is over.
        """
        names, rows = sorted(self._values), self.rows
        by_user = self.questions.average == "user"
        group = self.questions.dataset.requests.user[rows] if by_user else np.zeros_like(rows)
        groups = len(self.questions.dataset.users) if by_user else 1
        totals = np.zeros((2, groups, len(names)))
        for i, name in enumerate(names):
            values = self.values(name)
            present = ~np.isnan(values)
            totals[0, :, i] = np.bincount(group[present], weights=values[present], minlength=groups)
            totals[1, :, i] = np.bincount(group[present], minlength=groups)
        return names, totals

    @property
    def names(self) -> list[str]:
        """Of the metrics, sorted."""
        return sorted(self._values)

    @property
    def rows(self) -> np.ndarray:
        """Numbers of the requests, in the order of their values."""
        return np.concatenate(self._request)

    def values(self, name: str) -> np.ndarray:
        """One metric `[requests]`, nan where a request has no value."""
        return np.concatenate(self._values[name])

    def _catalogue(self, rows: np.ndarray, ranker: Ranker) -> dict[str, np.ndarray]:
        questions = self.questions
        ranked = ranker.catalogue(questions, rows, max(questions.cutoffs))
        if ranked is None:
            return {}
        if self.keep_lists:
            self._lists.append(ranked.astype(np.int32))
        target = questions.dataset.requests.target.take(rows)
        found: dict[str, np.ndarray] = {}
        if "full" in self.protocols:
            found |= _named("full", evaluate(ranked, (target.offsets, target.values), questions.cutoffs))
        if "in_vocabulary" in self.protocols:
            known = target.known()
            found |= _named("in_vocabulary", evaluate(ranked, (known.offsets, known.values), questions.cutoffs))
        return found

    def _exposed(self, rows: np.ndarray, ranker: Ranker) -> dict[str, np.ndarray]:
        requests = self.questions.dataset.requests
        if "exposed" not in self.protocols or requests.candidate is None or requests.clicked is None:
            return {}
        candidate = requests.candidate.take(rows)
        index, _ = ranges(requests.candidate.offsets[rows], requests.candidate.offsets[rows + 1])
        exposed = None if requests.position is None else requests.position[index]
        order = ranker.candidates(candidate, index, exposed)
        if order is None:
            return {}
        clicked = np.flatnonzero(requests.clicked[index])
        ranked = pad_ranked(candidate.offsets, order, max(self.questions.cutoffs))
        offsets = np.searchsorted(clicked, candidate.offsets)
        values = evaluate(ranked, (offsets, clicked + 1), self.questions.cutoffs)
        found = _named("exposed", values)
        if "exposed_first_1000" in self.protocols:
            first = self.questions.first[rows]
            found |= _named("exposed_first_1000", {name: np.where(first, v, np.nan) for name, v in values.items()})
        return found

    def _given(self, rows: np.ndarray, ranker: Ranker) -> dict[str, np.ndarray]:
        given, target = self.questions.given, self.questions.dataset.requests.target.take(rows)
        if "given" not in self.protocols or given is None:
            return {}
        listed = given.take(rows)
        index, _ = ranges(given.offsets[rows], given.offsets[rows + 1])
        order = ranker.candidates(listed, index, None)
        if order is None:
            return {}
        places = pad_ranked(listed.offsets, order, max(self.questions.cutoffs))
        ranked = np.append(0, listed.values)[places]
        values = evaluate(ranked, (target.offsets, target.values), self.questions.cutoffs)
        return _named("given", {name: np.where(listed.lengths > 0, v, np.nan) for name, v in values.items()})


def _named(protocol: Name, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {PREFIX[protocol] + name: value for name, value in values.items()}


def frame(questions: Questions, evaluations: dict[str, Evaluation]) -> pl.DataFrame:
    """One row per request of this process: who asked and when, what is known of the request, and every metric.

    request: its number in the data set. history: items that it sees. clicked and cold: clicked items, and those of them
    outside the vocabulary. after_search: seconds since the user's last search, null where there is none.

    Args:
        questions: what was asked.
        evaluations: by the name of the ranker, "" for the model; each of the same requests in the same order.
    """
    dataset = questions.dataset
    requests, rows = dataset.requests, next(iter(evaluations.values())).rows
    target = requests.target.take(rows)
    return pl.DataFrame(
        {
            "request": rows,
            "request_id": [requests.id[i] for i in rows],
            "user_id": [dataset.users[i] for i in requests.user[rows]],
            "timestamp": requests.timestamp[rows],
            "history": questions.history_length(rows),
            "clicked": target.lengths,
            "cold": _count(target, target.values == 0),
            "after_search": pl.Series(questions.since_search(rows)).fill_nan(None),
            **{
                f"{ranker}/{name}" if ranker else name: evaluation.values(name)
                for ranker, evaluation in evaluations.items()
                for name in evaluation.names
            },
        }
    )


def _count(lists: Ragged, chosen: np.ndarray) -> np.ndarray:
    return np.diff(np.append(0, np.cumsum(chosen))[lists.offsets])
