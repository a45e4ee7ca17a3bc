"""Times as people write them, and what is none."""

from datetime import date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.tables.times import microseconds

NOON = 1_732_708_800  # 2024-11-27 12:00:00 UTC
CHINA = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    "written",
    [
        "2024-11-27 12:00:00",
        "2024-11-27T12:00:00Z",
        "2024-11-27T20:00:00+08:00",
        "2024-11-27 12:00",
        str(NOON),
        f" {NOON} ",
        f"{NOON}.0",
        NOON,
        float(NOON),
        datetime(2024, 11, 27, 12),
        datetime(2024, 11, 27, 20, tzinfo=CHINA),
    ],
)
def test_noon_in_many_words(written: object) -> None:
    assert microseconds(pl.Series("at", [written]), "s").to_list() == [NOON * 1_000_000]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_a_column_with_a_zone_is_the_same_moment(unit) -> None:
    there = pl.Series("at", [datetime(2024, 11, 27, 12)], pl.Datetime(unit)).dt.replace_time_zone("UTC")
    assert microseconds(there.dt.convert_time_zone("Asia/Shanghai"), "s").to_list() == [NOON * 1_000_000]


@pytest.mark.parametrize("values", [pl.Series("at", ["2024-11-27"]), pl.Series("at", [date(2024, 11, 27)])])
def test_a_day_is_its_midnight(values: pl.Series) -> None:
    assert microseconds(values, "s").to_list() == [(NOON - 12 * 3_600) * 1_000_000]


@pytest.mark.parametrize(("unit", "number"), [("s", NOON), ("ms", NOON * 1_000), ("us", NOON * 1_000_000)])
@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.String])
def test_units_of_numbers(unit, number: int, kind: type[pl.DataType]) -> None:
    assert microseconds(pl.Series("at", [number]).cast(kind), unit).to_list() == [NOON * 1_000_000]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series("at", ["03/04/2024", "2024-11-27"]),  # of which month?
        pl.Series("at", ["27.11.2024", "2024-11-27"]),
        pl.Series("at", ["soon", "2024-11-27"]),
        pl.Series("at", ["", "2024-11-27"]),
        pl.Series("at", [None, "2024-11-27"]),
        pl.Series("at", ["noon", str(NOON)]),
        pl.Series("at", [float("nan"), float(NOON)]),
        pl.Series("at", [float("inf"), float(NOON)]),
        pl.Series("at", [None, datetime(2024, 11, 27)]),
        pl.Series("at", [[NOON], [NOON]]),
    ],
)
def test_what_is_no_time_is_null(values: pl.Series) -> None:
    assert microseconds(values, "s")[0] is None


@given(st.lists(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)), min_size=1))
def test_texts_are_read_back(moments: list[datetime]) -> None:
    written = pl.Series("at", [f"{moment:%Y-%m-%dT%H:%M:%S.%f}" for moment in moments])
    told = pl.Series("at", moments, pl.Datetime("us"))
    assert microseconds(written, "s").to_list() == microseconds(told, "s").to_list()
