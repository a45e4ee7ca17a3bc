"""A tested run, as `recsys test` leaves it in its folder."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from recsys.errors import InputError


@dataclass(frozen=True)
class Run:
    """Metrics of one run on the test split, and its values per request."""

    folder: Path
    model: str
    data: str
    fingerprint: str
    """Of the data; runs on other data cannot be compared."""
    protocol: dict[str, Any]
    metrics: dict[str, float]
    protocols: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each protocol means; nothing in runs of a version that did not say."""

    @property
    def name(self) -> str:
        """Name and time, as in `sasrec_qilin/20250102-030405`."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    def protocol_of(self, metric: str) -> dict[str, Any]:
        """Under what a metric such as exposed/ndcg@10 was measured."""
        ranker_and_protocol = metric.rpartition("/")[0].split("/")
        return self.protocols.get(ranker_and_protocol[-1] or "full") or self.protocols.get("full") or self.protocol

    def requests(self) -> pl.DataFrame:
        """One row per test request, sorted by user and request."""
        parts = sorted(self.folder.glob("test_requests*.parquet"))
        if not parts:
            raise InputError(f"{self.folder}: no test_requests.parquet; run `recsys test` again.")
        return pl.concat([pl.read_parquet(part) for part in parts]).sort("user_id", "request_id")


def find_runs(folders: list[Path]) -> list[Run]:
    """Every tested run at or below the folders.

    Raises:
        InputError: a folder is missing, or holds no tested run.
    """
    runs: dict[Path, Run] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder.")
        found = sorted(folder.rglob("test.json"))
        if not found:
            raise InputError(f"{folder}: no tested run. `recsys test` writes what is compared.")
        for file in found:
            content = json.loads(file.read_text("utf-8"))
            runs[file.parent] = Run(
                file.parent,
                content["model"],
                content["data"],
                content["data_fingerprint"],
                content["protocol"],
                content["metrics"],
                content.get("protocols", {}),
            )
    return list(runs.values())
