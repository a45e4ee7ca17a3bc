"""Ids, times and texts as atomic files can hold them; rows that lack one are refused, or counted."""

import polars as pl

from recsys import atomic
from recsys.errors import InputError
from recsys.tables.times import LATEST, MICROSECONDS, Unit, microseconds

UNFIT = {"user_id": r'[\t\r\n"]', "item_id": r'[\s"]'}
"""Characters that would end an id, and those that separate the items of a list."""


def identified(frame: pl.DataFrame, name: str, called: str, problems: atomic.Problems) -> pl.DataFrame:
    """The rows that have the id `name`, as text.

    Raises:
        InputError: a row has none, and rows are not to be skipped.
    """
    frame = frame.with_columns(tokens(frame[name]))
    empty = pl.col(name).is_null() | (pl.col(name) == "")
    frame = problems.rows(frame, empty, f"no {name}", f"its {called} is empty, or neither a text nor a whole number.")
    unfit = "white space or a double quote" if name == "item_id" else "a tab, a line break or a double quote"
    sentence = f"its {called} holds {unfit}, which an id cannot in an atomic file."
    return problems.rows(frame, pl.col(name).str.contains(UNFIT[name]), f"unfit {name}", sentence)


def timed(frame: pl.DataFrame, called: str, unit: Unit, problems: atomic.Problems) -> pl.DataFrame:
    """The rows that have a time, as Int64 microseconds since 1970.

    Raises:
        InputError: a row has none, and rows are not to be skipped; times beyond the year 3000.
    """
    frame = frame.with_columns(microseconds(frame["timestamp"], unit), said=frame["timestamp"].cast(pl.String))
    sentence = f"its {called} is no time: a number (of --time_unit), or like 2024-11-27 18:30:00+08:00."
    frame = problems.rows(frame, pl.col("timestamp").is_null(), "no time", sentence)
    late = frame.filter(pl.col("timestamp").abs() > LATEST)
    if len(late):
        finer = list(MICROSECONDS)[list(MICROSECONDS).index(unit) + 1 :]
        hint = f" is it --time_unit {finer[0]}?" if finer else " is it nanoseconds?"
        file, row, said = late.select("file", "row", "said").row(0)
        raise InputError(f"{file}: row {row} (from 0): its {called} {said} lies beyond the year 3000;{hint}")
    return frame.drop("said")


def tokens(values: pl.Series) -> pl.Series:
    """Ids as texts; null where a value is neither text nor whole number."""
    if values.dtype.is_float():  # whole numbers, some of which are missing, as pandas has them
        whole = values.cast(pl.Int64, strict=False)
        values = whole.set((whole != values).fill_null(True), None)
    if values.dtype.is_integer() or values.dtype in (pl.String, pl.Categorical, pl.Enum):
        return values.cast(pl.String)
    return pl.Series(values.name, [None] * len(values), pl.String)


def texts(values: pl.Series) -> pl.Series:
    """Texts in one line: runs of white space become one space, double quotes single; null becomes ""."""
    plain = values.cast(pl.String).fill_null("").str.replace_all('"', "'", literal=True)
    return plain.str.replace_all(r"[\s\p{Cc}]+", " ").str.strip_chars()
