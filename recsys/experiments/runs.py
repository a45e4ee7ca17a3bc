"""A run, wherever it was read from: what it was to do, how it ended and what it measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from recsys.errors import InputError, did_you_mean
from recsys.experiments.uploads import Upload

State = Literal["finished", "failed", "unfinished"]
"""Unfinished: still running, or killed before it could say how it ended."""
Curves = dict[str, list[tuple[int, float]]]
"""Metric → (training step, value), in ascending order of steps."""

KEYS = ["user_id", "request_id"]
SLICES = "test_slices.parquet"
"""Which test requests are in which slice."""


@dataclass(frozen=True)
class Run:
    """One run: its configuration and state, its metrics, and its values per request where it has been tested here."""

    folder: Path
    """Where it lies; of a run on a server, what it is called there."""
    model: str
    data: str
    fingerprint: str
    """Of the data; runs on other data cannot be compared."""
    protocol: dict[str, Any]
    metrics: dict[str, float]
    """By full name, as in test/exposed/ndcg@10 and val/ndcg@10."""
    protocols: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each protocol means; nothing in runs of a version that did not say."""
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Ends of the 95 % interval over users of each metric of the test that has one."""
    slices: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name: requests, users, metrics and intervals, as test.json has them."""
    catalogue: dict[str, float] = field(default_factory=dict)
    """Metrics of all lists of the test together, by full name."""
    config: dict[str, Any] = field(default_factory=dict)
    """The resolved configuration with dotted keys, as in model.network.init_args.dim."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the run said of itself: n_parameters, n_items, device, throughput, seconds, versions; those that it said."""
    state: State = "finished"
    name: str = ""
    """As in sasrec_qilin/20250102-030405."""
    warnings: tuple[str, ...] = ()
    """Sentences about what could not be read."""
    upload: Upload | None = field(default=None, repr=False, compare=False)
    """What its test has left on a server, as long as it has not been fetched."""
    files: Path | None = None
    """Where that lies since."""
    read_curves: Callable[[], Curves] = field(default=dict, repr=False, compare=False)
    """What `curves` are read by, as logs are long and not every comparison looks at them."""

    @property
    def seed(self) -> int | None:
        """Of weights, order and chance; None where the run did not say."""
        seed = self.config.get("seed_everything", self.config.get("seed"))
        return seed if isinstance(seed, int) and not isinstance(seed, bool) else None

    @property
    def tested(self) -> bool:
        """Whether it has metrics of the test split."""
        return any(name.startswith("test/") for name in self.metrics)

    @cached_property
    def curves(self) -> Curves:
        """Everything that was logged step by step, read on first use."""
        return self.read_curves()

    def metric(self, name: str) -> float | None:
        """The value of a metric by its full name, or of the test by its short one."""
        found = self.metrics | self.catalogue
        return found.get(f"test/{name}", found.get(name))

    def protocol_of(self, metric: str) -> dict[str, Any]:
        """Under what a metric such as exposed/ndcg@10 was measured."""
        ranker_and_protocol = metric.removeprefix("test/").rpartition("/")[0].split("/")
        if ranker_and_protocol[0] == "val":  # which is always of full ranking
            return {**(self.protocols.get("full") or self.protocol), "split": "valid"}
        return self.protocols.get(ranker_and_protocol[-1] or "full") or self.protocols.get("full") or self.protocol

    def requests(self, inside: str | None = None, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """One row per test request, sorted by user and request; of a run on a server they are fetched.

        Args:
            inside: of the slice of that name alone.
            columns: beside user and request; all where none are named, of which there may be hundreds.

        Raises:
            InputError: the rows, or the slice, are not there.
        """
        place = self._fetched()
        parts = sorted(place.glob("test_requests*.parquet"))
        if not parts:
            raise InputError(f"{self.folder}: no test_requests.parquet; run `recsys test` again.")
        read = None if columns is None else [*KEYS, *["request"] * (inside is not None), *columns]
        rows = pl.concat([pl.read_parquet(part, columns=read) for part in parts]).sort(KEYS)
        if inside is None:
            return rows
        if not (place / SLICES).is_file():
            raise InputError(f"{self.folder}: no {SLICES}; run `recsys test` again.")
        members = pl.read_parquet(place / SLICES)
        if inside not in members.columns[1:]:
            raise InputError(
                f"--slice {inside}: no such slice in {self.folder}.{did_you_mean(inside, members.columns[1:])}"
            )
        return rows.join(members.filter(pl.col(inside)), on="request", how="semi").sort(KEYS)

    @property
    def has_requests(self) -> bool:
        """Whether its values per request are on this machine."""
        return any((self.files or self.folder).glob("test_requests*.parquet"))

    def has_column(self, metric: str) -> bool:
        """Whether a value per request of a metric is on this machine."""
        return metric.removeprefix("test/") in self._columns

    def has_slice(self, name: str | None) -> bool:
        """Whether it is known which requests are in a slice; in that of all, None, where there are rows at all."""
        return self.has_requests if name is None else name in self._slices

    @cached_property
    def _slices(self) -> frozenset[str]:
        file = (self.files or self.folder) / SLICES
        return frozenset([*pl.read_parquet_schema(file)][1:] if self.has_requests and file.is_file() else ())

    @cached_property
    def _columns(self) -> frozenset[str]:
        part = next(iter(sorted((self.files or self.folder).glob("test_requests*.parquet"))), None)
        return frozenset(() if part is None else pl.read_parquet_schema(part))

    def _fetched(self) -> Path:
        if self.upload is None:
            return self.files or self.folder
        try:
            return self.upload.fetch()
        except InputError as error:
            raise InputError(f"{self.folder}: {error}.") from error


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with dotted keys; lists stay values."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
