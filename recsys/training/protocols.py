"""The protocols of evaluation: what is ranked, what counts as relevant, for which requests, averaged over what.

Numbers of different protocols cannot be compared. So each has a name, which stands in that of its metrics, and every
result says what the names mean.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from recsys.data.dataset import SPLITS, Dataset
from recsys.data.histories import Histories, sortable
from recsys.data.ragged import Ragged, grouped_offsets, offsets_of, ranges
from recsys.errors import InputError, did_you_mean
from recsys.metrics import Average

Name = Literal["full", "in_vocabulary", "exposed", "exposed_first_1000", "given"]
PREFIX: dict[Name, str] = {
    "full": "",
    "in_vocabulary": "in_vocabulary/",
    "exposed": "exposed/",
    "exposed_first_1000": "exposed_first_1000/",
    "given": "given/",
}
"""What precedes a metric's name, as in exposed/ndcg@10."""
FIRST = 1000
"""Requests that Qilin's authors evaluate."""


@dataclass(frozen=True)
class Questions:
    """The requests of a split, and how answers to them are marked."""

    dataset: Dataset
    histories: Histories
    split: str
    cutoffs: tuple[int, ...]
    exclude_seen: bool = False
    average: Average = "request"
    given: Ragged | None = None
    """Candidates of each request of the data set, 0 where unknown; a request that has none is not evaluated on them."""
    given_sha256: str | None = None
    """Of the file that they come from."""

    @cached_property
    def _point_of_request(self) -> np.ndarray:
        point = np.full(len(self.dataset.requests.id), -1)
        point[self.histories.request] = np.arange(len(self.histories.request))
        return point

    @property
    def protocols(self) -> list[Name]:
        """Those that this data allows."""
        found: list[Name] = ["full", "in_vocabulary"]
        if self.dataset.requests.candidate is not None:
            found.append("exposed")
            if len(self.requests) > FIRST:
                found.append("exposed_first_1000")
        return found if self.given is None else [*found, "given"]

    @cached_property
    def requests(self) -> np.ndarray:
        """Numbers of the split's requests."""
        return np.flatnonzero(self.dataset.requests.split == SPLITS.index(self.split))

    @cached_property
    def first(self) -> np.ndarray:
        """`[requests of the data set]` bool: the split's first 1,000 by time, as the release orders them."""
        requests, mine = self.dataset.requests, self.requests
        first = np.zeros(len(requests.id), bool)
        first[mine[np.argsort(requests.timestamp[mine], kind="stable")[:FIRST]]] = True
        return first

    def history_length(self, rows: np.ndarray) -> np.ndarray:
        """Number of items that the requests `rows` see."""
        return self.histories.visible[self._point_of_request[rows]]

    def since_search(self, rows: np.ndarray) -> np.ndarray:
        """Seconds from the user's last search to the requests `rows`, nan where there is none."""
        requests, searches = self.dataset.requests, self.dataset.searches
        if searches is None or not len(searches.user):
            return np.full(len(rows), np.nan)
        asked = sortable(requests.user[rows], requests.timestamp[rows])
        last = np.searchsorted(sortable(searches.user, searches.timestamp), asked, side="left") - 1
        own = (last >= 0) & (searches.user[last] == requests.user[rows])
        return np.where(own, requests.timestamp[rows] - searches.timestamp[last], np.nan)

    def seen(self, rows: np.ndarray) -> Ragged:
        """The items of the history of the requests `rows`."""
        point = self._point_of_request[rows]
        start = self.histories.item.offsets[self.histories.user[point]]
        index, lengths = ranges(start, start + self.histories.visible[point])
        return Ragged(offsets_of(lengths), self.histories.item.values[index])

    def excluded(self, rows: np.ndarray) -> Ragged:
        """The items that are not to be recommended to the requests `rows`."""
        if self.exclude_seen:
            return self.seen(rows)
        return Ragged(np.zeros(len(rows) + 1, np.int64), np.zeros(0, np.int64))

    def describe(self, name: Name) -> dict[str, Any]:
        """The protocol in full; two numbers can be compared if this and the data are the same."""
        ranked = {
            "candidates": "every item of the vocabulary",
            "items": len(self.dataset.items) - 1,
            "exclude_seen": self.exclude_seen,
            "ties": "the smaller id first",
        }
        listed = {"ties": "in random order, the same for every model"}
        described: dict[Name, dict[str, Any]] = {
            "full": {**ranked, "relevant": "what was clicked; an item outside the vocabulary counts as missed"},
            "in_vocabulary": {**ranked, "relevant": "what was clicked and is in the vocabulary"},
            "exposed": {
                "candidates": "the items that the request exposed, those outside the vocabulary behind the others",
                **listed,
                "relevant": "what was clicked",
            },
            "given": {
                "candidates": "the items of a file, those outside the vocabulary behind the others",
                "sha256": self.given_sha256,
                **listed,
                "relevant": "what was clicked; an item outside the list or the vocabulary counts as missed",
            },
        }
        described["exposed_first_1000"] = described["exposed"] | {"requests": "the first 1,000 by time"}
        average = "requests" if self.average == "request" else "users, each with the mean of its requests"
        return {"split": self.split, **described[name], "mean_over": average}


def read_candidates(path: Path, dataset: Dataset) -> tuple[Ragged, str]:
    """Candidates per request of `dataset`, and the file's digest.

    The file is a Parquet table of `request_id` and `item_ids`, a list, as `recsys predict` writes it. An item that is
    listed again counts once.

    Raises:
        InputError: no such table, a request that the data set does not have, or has twice.
    """
    try:
        frame = pl.read_parquet(path, columns=["request_id", "item_ids"])
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: no Parquet table with request_id and item_ids ({error}).") from error
    if frame.schema != {"request_id": pl.String, "item_ids": pl.List(pl.String)}:
        raise InputError(f"{path}: request_id must be text and item_ids lists of text, not {frame.schema}.")
    if frame["request_id"].is_duplicated().any():
        twice = frame.filter(frame["request_id"].is_duplicated())["request_id"][0]
        raise InputError(f"{path}: request_id {twice!r} occurs twice.")
    known = pl.DataFrame({"request_id": list(dataset.requests.id)}).with_row_index("row")
    if known["request_id"].is_duplicated().any():
        raise InputError(
            f"{path}: candidates need requests with ids of their own; {dataset.name} has no .request file."
        )
    joined = frame.join(known, on="request_id", how="left", maintain_order="left")
    if joined["row"].null_count():
        missing = joined.filter(pl.col("row").is_null())["request_id"][0]
        raise InputError(f"{path}: request_id {missing!r} is not in {dataset.name}.{_nearest(missing, known)}")
    pairs = joined.sort("row").select("row", item_id="item_ids").explode("item_id", empty_as_null=False)
    pairs = pairs.unique(["row", "item_id"], keep="first", maintain_order=True)
    offsets = grouped_offsets(pairs["row"].to_numpy(), len(known))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Ragged(offsets, dataset.items.encode(pairs["item_id"])), digest


def _nearest(missing: str, known: pl.DataFrame) -> str:
    return did_you_mean(missing, known["request_id"].head(1000))
