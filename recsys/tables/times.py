"""Times however they are written → whole microseconds since 1970, UTC."""

from typing import Literal

import polars as pl

Unit = Literal["s", "ms", "us"]

MICROSECONDS: dict[Unit, int] = {"s": 1_000_000, "ms": 1_000, "us": 1}
LATEST = 32_503_680_000 * 1_000_000  # the year 3000: no log reaches it, but seconds read out of milliseconds do


def microseconds(values: pl.Series, unit: Unit) -> pl.Series:
    """Int64 microseconds since 1970 of dates, dates with times, numbers in `unit`, or texts of either; null where none.

    Times without a zone are taken for UTC. Texts begin with the year, as in ISO 8601: 03/04/2024 is another day on
    either side of the Atlantic.
    """
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        return values.cast(pl.Datetime("us")).cast(pl.Int64)
    if values.dtype.is_numeric():
        return _scaled(values, unit)
    if values.dtype != pl.String:
        return pl.Series(values.name, [None] * len(values), pl.Int64)
    said = values.str.strip_chars()
    numbers = said.cast(pl.Float64, strict=False)
    if (numbers.is_not_null() == (said.is_not_null() & (said != ""))).all():
        whole = said.cast(pl.Int64, strict=False)
        return _scaled(whole if whole.null_count() == numbers.null_count() else numbers, unit)
    texts = said.set(~said.str.contains(r"^\d{4}-\d\d?-\d\d?").fill_null(False), None)
    if texts.null_count() == len(texts):
        return texts.cast(pl.Int64)
    return texts.str.to_datetime(time_unit="us", time_zone="UTC", strict=False).cast(pl.Int64)


def _scaled(numbers: pl.Series, unit: Unit) -> pl.Series:
    scaled = numbers.fill_nan(None) if numbers.dtype.is_float() else numbers.cast(pl.Int64)
    return (scaled * MICROSECONDS[unit]).cast(pl.Int64, strict=False)
