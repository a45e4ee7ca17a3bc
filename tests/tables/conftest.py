"""A small shop: two customers, three things, and what they looked for."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recsys import tables

CLICKS = pl.DataFrame(
    [
        ("ann", "0017", 90_000),
        ("bob", "0200", 90_100),
        ("ann", "0200", 90_200),
        ("ann", "0031", 180_000),
        ("bob", "0017", 180_100),
    ],
    schema=["user_id", "item_id", "timestamp"],
    orient="row",
)


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Path]:
    """Convert these tables, the clicks above where others are not given; the folder."""

    def make(clicks=CLICKS, *, searches=None, items=None, name: str = "shop", **options: object) -> Path:
        output = tmp_path / name
        tables.convert(clicks, output, searches, items, tables.Options(**options))
        return output

    return make


def lines(folder: Path, kind: str) -> list[str]:
    """An atomic file of the folder, without its header."""
    return (folder / f"{folder.name}.{kind}").read_text("utf-8").splitlines()[1:]
