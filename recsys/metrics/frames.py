"""Tables of recommendations and of relevant pairs, read without importing the library that they are from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recsys.errors import InputError
from recsys.metrics.compiled import floats, integers

REQUESTS = ("request_id", "user_id")  # the first that both tables have says what a list belongs to
ITEM, RANK, SCORE = "item_id", "rank", "score"


def is_frame(table: Any) -> bool:
    """Whether it is a table with named columns: a frame of pandas or Polars, or a mapping."""
    return isinstance(table, Mapping) or hasattr(table, "columns")


def arrays_of(ranked: Any, relevant: Any, depth: int) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Name and ids of the requests, lists `[requests, at most depth]`, offsets and relevant items.

    Items are numbered from 1 on; requests are in ascending order, all that are in either table.
    """
    tables = {"ranked": ranked, "relevant": relevant}
    name = next((name for name in REQUESTS if all(name in _names(table) for table in tables.values())), None)
    if name is None:
        raise InputError("ranked and relevant must both have the column request_id, or both user_id.")
    keys, (request, relevant_request) = _numbered(name, [_column(t, table, name) for t, table in tables.items()])
    item, relevant_item = _from_one(ITEM, [_column(t, table, ITEM) for t, table in tables.items()])
    order, place = _in_order(ranked, name, keys, request)
    if place.max(initial=-1) >= depth:
        kept = place < depth
        order, place = np.arange(len(place))[order][kept], place[kept]
    lists = np.zeros((len(keys), int(place.max(initial=-1)) + 1), dtype=np.int64)
    lists[request[order], place] = item[order]
    offsets = np.concatenate(([0], np.cumsum(np.bincount(relevant_request, minlength=len(keys)))))
    return name, keys, lists, offsets, relevant_item[np.argsort(relevant_request, kind="stable")]


def _in_order(ranked: Any, name: str, keys: np.ndarray, request: np.ndarray) -> tuple[np.ndarray | slice, np.ndarray]:
    """Rows in rank order, request by request, and the place of each in its list, from 0 on.

    Tables tend to come in that order, which is seen much faster than it is made.
    """
    if RANK in _names(ranked):
        place = integers(RANK, _column("ranked", ranked, RANK)) - 1
        if place.min(initial=0) < 0:
            raise InputError(f"{RANK} must count from 1 on, not from {place.min() + 1}.")
        if _ascend(request, place):
            return slice(None), place
        order = np.lexsort((place, request))
        twice = np.flatnonzero((np.diff(request[order]) == 0) & (np.diff(place[order]) == 0))
        if len(twice):
            row = order[twice[0]]
            raise InputError(f"The list of {name} {keys[request[row]]} has two items of rank {place[row] + 1}.")
        return order, place[order]
    score = floats(SCORE, _column("ranked", ranked, SCORE, "or rank"))
    unknown = np.flatnonzero(np.isnan(score))
    if len(unknown):
        raise InputError(f"{SCORE} is not a number in row {unknown[0]} of ranked.")
    # Logged lists tend to show clicked items first: to keep their order among equal scores would be to use it.
    lot = None if _ascend(request, -score) else np.random.default_rng(0).permutation(len(score))
    by_score = slice(None) if lot is None else np.lexsort((lot, -score, request))
    firsts = np.searchsorted(request[by_score], np.arange(len(keys)))
    return by_score, np.arange(len(score)) - firsts[request[by_score]]


def _ascend(request: np.ndarray, place: np.ndarray) -> bool:
    """Whether no request comes before an earlier one, and in each all places ascend."""
    same = request[1:] == request[:-1]
    return bool((((request[1:] > request[:-1]) & ~same) | (same & (place[1:] > place[:-1]))).all())


def _numbered(name: str, columns: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The distinct ids of all columns, ascending, and each column with the ids' numbers among them."""
    if _are_integers(columns):
        parts = [_distinct(column if len(column) else np.zeros(0, np.int64)) for column in columns]
        keys = np.unique(np.concatenate([distinct for distinct, _ in parts]))
        return keys, [np.searchsorted(keys, distinct)[numbers] for distinct, numbers in parts]
    filled = [column for column in columns if len(column)]
    ids = [each for column in filled for each in column.tolist()]
    if not all(isinstance(each, str) for each in ids):
        other = next(type(each).__name__ for each in ids if not isinstance(each, str))
        raise InputError(f"{name} must hold integers in both frames, or strings in both, without gaps; not {other}.")
    ordered = sorted(set(ids))
    number = {each: i for i, each in enumerate(ordered)}
    ends = np.cumsum([len(column) for column in columns])[:-1]
    return np.array(ordered), np.split(np.fromiter((number[each] for each in ids), np.int64, len(ids)), ends)


def _distinct(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `np.unique` with the inverse, which is not needed for what ascends already."""
    if (column[1:] < column[:-1]).any():
        return np.unique(column, return_inverse=True)
    first = np.ones(len(column), bool)
    first[1:] = column[1:] != column[:-1]
    return column[first], np.cumsum(first) - 1


def _from_one(name: str, columns: list[np.ndarray]) -> list[np.ndarray]:
    """The columns with other ids, from 1 on, equal where theirs are equal."""
    filled = [column for column in columns if len(column)]
    if filled and _are_integers(columns):
        low, high = min(int(column.min()) for column in filled), max(int(column.max()) for column in filled)
        if low > -(2**62) and high < 2**62:
            return [column.astype(np.int64) + (1 - low) for column in columns]
    return [numbers + 1 for numbers in _numbered(name, columns)[1]]


def _are_integers(columns: list[np.ndarray]) -> bool:
    return all(column.dtype.kind in "iu" for column in columns if len(column))


def _column(table_name: str, table: Any, name: str, alternative: str = "") -> np.ndarray:
    names = _names(table)
    if name not in names:
        raise InputError(f"{table_name} must have a column {name} {alternative}".rstrip() + f", not only {names}.")
    try:
        return np.asarray(table[name])
    except TypeError:  # a lazy frame of Polars
        raise InputError(f"The columns of {table_name} cannot be read; a lazy frame must be collected.") from None


def _names(table: Any) -> list[str]:
    return [str(name) for name in (table if isinstance(table, Mapping) else table.columns)]
