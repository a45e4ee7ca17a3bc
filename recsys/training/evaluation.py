"""Rank the requests of a split, batch by batch, and give every request its metrics."""

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys.data.dataset import Dataset
from recsys.data.histories import Histories
from recsys.data.ragged import Ragged, offsets_of, ranges
from recsys.metrics import evaluate
from recsys.ranking import pad_ranked, rank_candidates, top_k

EXPOSED = "exposed/"
"""Prefix of the metrics of the second protocol: re-ranking of the items that the request exposed."""


class Evaluation:
    """Collects the metrics of one scorer over a split.

    Full ranking: every item of the vocabulary is a candidate, all clicked items are relevant, and one outside the
    vocabulary (0) counts as missed. Exposed re-ranking (Qilin's protocol): the candidates are the request's own exposed
    items; those unknown to the model come last, in seeded random order.
    """

    def __init__(
        self, dataset: Dataset, histories: Histories, cutoffs: tuple[int, ...], exclude_seen: bool, exposed: bool
    ) -> None:
        self.dataset, self.histories = dataset, histories
        self.cutoffs, self.exclude_seen = cutoffs, exclude_seen
        self.exposed = exposed and dataset.requests.candidate is not None
        self._point_of_request = np.full(len(dataset.requests.id), -1)
        self._point_of_request[histories.request] = np.arange(len(histories.request))
        self._request: list[np.ndarray] = []
        self._values: dict[str, list[np.ndarray]] = {}

    def add(self, request: Tensor, vectors: Tensor, table: Tensor | None) -> None:
        """Take in the requests `[points]` with their vectors `[points, dim]` and the item table `[items, dim]`.

        Without a table the vectors are the scores `[points, items]`.
        """
        rows = request.cpu().numpy()
        values = self._full(rows, vectors, table)
        if self.exposed:
            values |= {EXPOSED + name: value for name, value in self._exposed(rows, vectors, table).items()}
        self._request.append(rows)
        for name, value in values.items():
            self._values.setdefault(name, []).append(value)

    def seen(self, request: np.ndarray) -> Ragged:
        """The items of the history of each request."""
        point = self._point_of_request[request]
        start = self.histories.item.offsets[self.histories.user[point]]
        index, lengths = ranges(start, start + self.histories.visible[point])
        return Ragged(offsets_of(lengths), self.histories.item.values[index])

    def sums(self) -> tuple[list[str], list[float]]:
        """Names and sums over this process's requests; the last is their number."""
        names = sorted(self._values)
        return [*names, "requests"], [*(float(self._joined(name).sum()) for name in names), len(self._all_requests())]

    def frame(self) -> pl.DataFrame:
        """One row per request: request_id, user_id, timestamp and every metric."""
        requests, row = self.dataset.requests, self._all_requests()
        return pl.DataFrame(
            {
                "request_id": [requests.id[i] for i in row],
                "user_id": [self.dataset.users[i] for i in requests.user[row]],
                "timestamp": requests.timestamp[row],
                **{name: self._joined(name) for name in sorted(self._values)},
            }
        )

    def _full(self, rows: np.ndarray, vectors: Tensor, table: Tensor | None) -> dict[str, np.ndarray]:
        exclude = None
        if self.exclude_seen:
            seen = self.seen(rows)
            exclude = torch.from_numpy(seen.offsets), torch.from_numpy(seen.values)
        ranked, _ = top_k(vectors, table, max(self.cutoffs), exclude)
        target = self.dataset.requests.target.take(rows)
        return evaluate(ranked.cpu().numpy(), (target.offsets, target.values), self.cutoffs)

    def _exposed(self, rows: np.ndarray, vectors: Tensor, table: Tensor | None) -> dict[str, np.ndarray]:
        requests = self.dataset.requests
        assert requests.candidate is not None
        assert requests.clicked is not None
        candidate = requests.candidate.take(rows)
        index, _ = ranges(requests.candidate.offsets[rows], requests.candidate.offsets[rows + 1])
        clicked = np.flatnonzero(requests.clicked[index])
        order = rank_candidates(vectors, table, candidate.offsets, candidate.values, positions=index)
        ranked = pad_ranked(candidate.offsets, order, max(self.cutoffs))
        offsets = np.searchsorted(clicked, candidate.offsets)
        return evaluate(ranked, (offsets, clicked + 1), self.cutoffs)

    def _all_requests(self) -> np.ndarray:
        return np.concatenate(self._request) if self._request else np.zeros(0, np.int64)

    def _joined(self, name: str) -> np.ndarray:
        return np.concatenate(self._values[name])
