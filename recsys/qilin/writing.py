"""The data files of a conversion, written into its folder piece by piece."""

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys import atomic
from recsys.atomic.problems import Problems
from recsys.qilin import items, partition, source, tables
from recsys.qilin.partition import Block

BUCKET = 2_500_000  # notes in memory at once, of which
PIECE = 100_000  # so many are made into lines


def users(folder: Path, stem: str, blocks: Iterator[Block]) -> dict[str, Any]:
    """`.inter`, `.request`, `.search` and `.query` from the blocks of all users; what they counted."""
    kinds = ("inter", "request", "search")
    counted: list[dict[str, Any]] = []
    queries: list[pl.DataFrame] = []
    for kind in kinds:
        (folder / f"{stem}.{kind}").write_bytes(atomic.header(tables.TYPES[kind]))
    for block in blocks:
        for kind in kinds:
            with (folder / f"{stem}.{kind}").open("ab") as file:
                file.write(block[kind])
        counted.append(pickle.loads(block["counts"]))
        queries.append(pickle.loads(block["queries"]))
    distinct = pl.concat(queries).unique("query_id").sort("query_id")
    atomic.write(distinct, folder / f"{stem}.query", tables.TYPES["query"])
    return partition.added(counted)


def notes(path: Path, files: list[Path], item: np.ndarray, problems: Problems, progress: Callable[[str], None]) -> None:
    """`.item`, sorted by item; notes are read as often as it takes to hold `BUCKET` of them at once."""

    def pieces() -> Iterator[pl.DataFrame]:
        edges = range(0, len(item), BUCKET)
        for number, first in enumerate(edges):
            progress(f"writing notes, part {number + 1} of {len(edges)}")
            bucket = _bucket(files, item, first, problems if first == 0 else Problems(skip=True))
            yield from bucket.iter_slices(PIECE)

    atomic.write(pieces(), path, tables.TYPES["item"])


def _bucket(files: list[Path], item: np.ndarray, first: int, problems: Problems) -> pl.DataFrame:
    """The items that are `first` and the `BUCKET` - 1 behind it, sorted; each once."""
    read = (piece for file in files for piece in source.notes(file, problems))
    numbered = (piece.with_columns(item_id=items.renumbered(piece["note_idx"], item)) for piece in read)
    inside = (piece.filter(pl.col("item_id").is_between(first, first + BUCKET - 1)) for piece in numbered)
    # Texts are worked on where they lie next to each other, before the sort scatters them over the memory.
    ordered = pl.concat(map(tables.items, inside)).sort("item_id", maintain_order=True)
    return ordered.filter(pl.col("item_id").ne_missing(pl.col("item_id").shift()))


def features(path: Path, files: list[Path], problems: Problems) -> None:
    """`.user`."""
    people = pl.concat(source.read("user_feat", file, problems) for file in files)
    repeats = ~pl.col("user_idx").is_first_distinct()
    people = problems.rows(people, repeats, "user twice", "its user_idx occurs before.")
    atomic.write(tables.users(people), path, tables.TYPES["user"])
