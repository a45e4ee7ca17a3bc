from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recsys import atomic

FIELDS = {
    "inter": {
        "user_id": "token",
        "item_id": "token",
        "timestamp": "float",
        "request_id": "token",
        "source": "token",
        "split": "token",
    },
    "request": {
        "request_id": "token",
        "user_id": "token",
        "timestamp": "float",
        "split": "token",
        "history": "token_seq",
        "exposed": "token_seq",
        "position": "float_seq",
        "clicked": "token_seq",
    },
    "search": {
        "search_id": "token",
        "user_id": "token",
        "timestamp": "float",
        "query_id": "token",
        "query_from_type": "token",
        "clicked": "token_seq",
        "split": "token",
    },
    "query": {"query_id": "token", "query": "token_seq"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a data set folder from rows whose fields stand in the order of FIELDS; what is not given is not written."""

    def write(name: str = "tiny", **files: list[tuple]) -> Path:
        path = tmp_path / name
        for suffix, rows in files.items():
            types = FIELDS[suffix]
            schema = {field: atomic.FIELD_TYPES[kind] for field, kind in types.items()}
            atomic.write(pl.DataFrame(rows, schema=schema, orient="row"), path / f"{name}.{suffix}", types)
        return path

    return write


@pytest.fixture
def generic(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder as RecBole has it: `.inter` with user, item, time and nothing else."""

    def write(rows: list[tuple[str, str, float]], name: str = "plain") -> Path:
        types = {"user_id": "token", "item_id": "token", "rating": "float", "timestamp": "float"}
        frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
        atomic.write(frame.with_columns(rating=5), tmp_path / name / f"{name}.inter", types)
        return tmp_path / name

    return write
