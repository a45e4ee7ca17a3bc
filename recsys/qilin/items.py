"""Which number a note gets as an item: one that tells nothing, unlike its own."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa

from recsys.errors import InputError


@lru_cache(maxsize=2)
def numbers(notes: int, seed: int) -> np.ndarray:
    """Item of each note `[notes]`: a permutation of 0, …, notes − 1, the same on every machine and version.

    The release has numbered its notes by what happened to them: those of clicked notes lie in four blocks.
    """
    order = np.argsort(scatter(np.full(notes, seed + 1), np.arange(notes)), kind="stable")
    item = np.empty(notes, np.int64)
    item[order] = np.arange(notes)
    item.flags.writeable = False
    return item


def notes_of(items: Sequence[str], notes: int, seed: int) -> list[str]:
    """The release's `note_idx` of each item: what `numbers` has been given.

    Raises:
        InputError: an item that none of so many notes has become.
    """
    number = pl.Series(items, dtype=pl.String).cast(pl.Int64, strict=False)
    strange = ~(number.is_between(0, notes - 1)).fill_null(False)
    if strange.any():
        raise InputError(
            f"item {items[strange.arg_true()[0]]!r}: none of the {notes:,} notes of Qilin has that number."
        )
    return list(map(str, np.argsort(numbers(notes, seed))[number.to_numpy()]))


def exist(notes: pl.Series, known: np.ndarray) -> pl.Series:
    """Which of the notes do, by a mask of all numbers."""
    number = notes.to_numpy()
    inside = number < len(known)
    return pl.Series(inside & known[np.where(inside, number, 0)])


def renumbered(notes: pl.Series, item: np.ndarray) -> pl.Series:
    """Notes as items; of lists, each element."""
    if notes.dtype != pl.List(pl.Int64):
        return pl.Series(notes.name, item[notes.to_numpy()])
    offsets = np.concatenate([[0], np.cumsum(notes.list.len().to_numpy())])
    flat = item[notes.explode(empty_as_null=False).to_numpy()]
    return pl.Series(notes.name, pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(flat)))


def scatter(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A 64-bit hash `[n]` of pairs of integers (SplitMix64's finaliser): the same on every machine and version."""
    x = first.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + second.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))
