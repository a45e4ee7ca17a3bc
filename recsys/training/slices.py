"""Slices of the test requests, declared by rules: the same metrics for some requests alone, with their number."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recsys import atomic
from recsys.data.dataset import Dataset
from recsys.data.items import item_file
from recsys.errors import InputError, did_you_mean

LARGEST = 10
"""Values of a field that `by` makes slices of."""


@dataclass
class Slice:
    """Requests for which all of the given rules hold.

    Args:
        history: Fewest and most items in the history; null for no most.
        cold: With (true) or without (false) a clicked item that is outside the vocabulary.
        after_search: At most so many seconds after a search of the same user.
        by: Field of the data set's `.item` file; a slice for each of its ten most frequent values among the clicked
            items of the vocabulary.
    """

    history: tuple[int, int | None] | None = None
    cold: bool | None = None
    after_search: float | None = None
    by: str | None = None


DEFAULT = {
    "no history": Slice(history=(0, 0)),
    "history 1-9": Slice(history=(1, 9)),
    "history 10+": Slice(history=(10, None)),
    "cold target": Slice(cold=True),
    "known targets": Slice(cold=False),
    "30 min after search": Slice(after_search=1800),
}
"""What is looked at where nothing is declared."""


def check(slices: Mapping[str, Slice]) -> None:
    """Refuse rules that can hold for nothing, or are none.

    Raises:
        InputError: naming the slice.
    """
    for name, rule in slices.items():
        if rule == Slice():
            raise InputError(f"--model.slices {name}: give at least one of history, cold, after_search and by.")
        low, high = rule.history or (0, None)
        if low < 0 or (high is not None and high < low):
            raise InputError(f"--model.slices {name}: history [{low}, {high}] must ascend from 0 or more.")
        if rule.after_search is not None and rule.after_search <= 0:
            raise InputError(f"--model.slices {name}: after_search {rule.after_search} must be more than 0 seconds.")


def check_fields(slices: Mapping[str, Slice], folder: Path) -> None:
    """Refuse `by` of a field that the data set in `folder` does not have, before a test has taken its time.

    Raises:
        InputError: naming the file and the nearest field.
    """
    for rule in slices.values():
        if rule.by is not None:
            path = item_file(folder)
            kind = atomic.read_header(path).get(rule.by)
            if kind is None:
                raise InputError(f"{path}: no field {rule.by!r}.{did_you_mean(rule.by, atomic.read_header(path))}")
            if kind != "token":
                raise InputError(f"{path}: slices are made by fields of type token, and {rule.by!r} is {kind}.")


def members(slices: Mapping[str, Slice], frame: pl.DataFrame, dataset: Dataset, folder: Path) -> dict[str, pl.Series]:
    """Which rows of `frame`, as `evaluation.frame` makes it, are in each slice; without the empty slices."""
    found = {}
    for name, rule in slices.items():
        inside = frame.select(pl.all_horizontal(pl.lit(True), *_conditions(rule))).to_series()
        if inside.len() == 1:  # a rule of literals only
            inside = inside.new_from_index(0, frame.height)
        if rule.by is None:
            found[name] = inside
            continue
        for value, rows in _values(rule.by, frame, dataset, folder):
            found[f"{name}: {value}"] = inside & rows
    return {name: rows for name, rows in found.items() if rows.any()}


def _conditions(rule: Slice) -> list[pl.Expr]:
    conditions = []
    if rule.history is not None:
        low, high = rule.history
        conditions.append(pl.col("history") >= low)
        conditions += [] if high is None else [pl.col("history") <= high]
    if rule.cold is not None:
        conditions.append((pl.col("cold") > 0) == rule.cold)
    if rule.after_search is not None:
        conditions.append((pl.col("after_search") <= rule.after_search).fill_null(False))
    return conditions


def _values(field: str, frame: pl.DataFrame, dataset: Dataset, folder: Path) -> list[tuple[str, pl.Series]]:
    """The most frequent values of the field among the known clicked items, and the rows with such an item."""
    items = atomic.read(item_file(folder), ["item_id", field]).rename({field: "value"})
    known = pl.DataFrame({"item": range(1, len(dataset.items)), "item_id": list(dataset.items.tokens)})
    of_item = known.join(items, on="item_id").select("item", "value").filter(pl.col("value") != "")
    target = dataset.requests.target.take(frame["request"].to_numpy())
    row = np.arange(frame.height)
    clicked = pl.DataFrame({"row": row.repeat(target.lengths), "item": target.values})
    pairs = clicked.join(of_item, on="item").unique(["row", "value"])
    largest = pairs.group_by("value").len().sort(["len", "value"], descending=[True, False])["value"].head(LARGEST)
    inside = {value: np.isin(row, rows["row"].to_numpy()) for (value,), rows in pairs.group_by("value")}
    return [(value, pl.Series(inside[value])) for value in largest]
