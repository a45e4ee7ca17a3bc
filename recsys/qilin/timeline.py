"""Rows of every configuration → requests and exposures on one clock: int64 seconds since Qilin's only day began."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from recsys.atomic.problems import Problems
from recsys.qilin.options import Clocks
from recsys.qilin.schema import EXPOSURE_NEEDS, REC_DETAILS, SEARCH_DETAILS, WINDOW

ORIGIN = 1_732_636_800  # 2024-11-27 00:00 in Beijing, as a Unix epoch in seconds
DAY = 86_400
GRACE = 3_600  # a request that began before midnight may go on after it
SEARCH_OFFSET = 28_800  # search clocks hold Beijing's wall-clock time written as if it were UTC
ABSURD = 400 * DAY  # farther from the day than any device clock: another unit, not another date


@dataclass(frozen=True)
class Channel:
    """Where a configuration keeps what; `prefix` separates the two id namespaces, in which integers recur."""

    source: str
    prefix: str
    index: str
    details: str
    clock: str


_REC = Channel("rec", "r", "request_idx", REC_DETAILS, "request_timestamp")
_SEARCH = Channel("search", "s", "search_idx", SEARCH_DETAILS, "search_timestamp")
_DQA = Channel("dqa", "s", "search_idx", SEARCH_DETAILS, "search_timestamp")

CHANNELS = {
    "recommendation_train": _REC,
    "recommendation_test": _REC,
    "search_train": _SEARCH,
    "search_test": _SEARCH,
    "dqa": _DQA,
}

_DETAILS: pl.DataType = pl.List(
    pl.Struct([pl.Field(name, pl.Int64) for name in ("note_idx", "click", "position", "clock")])
)
ROWS: pl.Schema = pl.Schema(
    {
        "config": pl.String(),
        "file": pl.String(),
        "row": pl.Int64(),
        "index": pl.Int64(),
        "user_idx": pl.Int64(),
        "window": pl.List(pl.Int64()),
        "query": pl.String(),
        "query_from_type": pl.Int64(),
        "details": _DETAILS,
    }
)
"""Rows of all configurations in one form; `window` is as delivered, and `clock` holds the configuration's own units."""


@dataclass(frozen=True)
class Log:
    """Requests and what they showed.

    Attributes:
        requests: request (a number within this log), index, config, source, user_idx, timestamp (first exposure),
            window (oldest first), query, query_from_type (both null in recommendation), file, row.
        exposures: request, note_idx, clicked, timestamp, position; one row per (request, note).
        counts: what was dropped, moved or merged, of each configuration.
    """

    requests: pl.DataFrame
    exposures: pl.DataFrame
    counts: dict[str, Any]


def seconds(channel: Channel, clock: pl.Expr, offset: int = SEARCH_OFFSET) -> pl.Expr:
    """Seconds since `ORIGIN`: recommendation has the true epoch in milliseconds, search has seconds, `offset` ahead."""
    return (clock // 1000 if channel is _REC else clock - offset) - ORIGIN


def unified(rows: pl.DataFrame, config: str) -> pl.DataFrame:
    """One configuration's rows (as `source.read` returns them) in the form of `ROWS`."""
    channel, searched = CHANNELS[config], "query" in rows.columns
    fields = zip(EXPOSURE_NEEDS[channel.details], ("note_idx", "click", "position", "clock"), strict=True)
    element = pl.struct(pl.element().struct[field].alias(name) for field, name in fields)
    return rows.select(
        pl.lit(config).alias("config"),
        "file",
        "row",
        pl.col(channel.index).alias("index"),
        "user_idx",
        pl.col(WINDOW).alias("window"),
        pl.col("query") if searched else pl.lit(None, pl.String).alias("query"),
        pl.col("query_from_type") if searched else pl.lit(None, pl.Int64).alias("query_from_type"),
        pl.col(channel.details).list.eval(element).alias("details"),
    )


def observe(rows: pl.DataFrame, problems: Problems, offset: int = SEARCH_OFFSET) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Requests and exposures of rows in the form of `ROWS`, at the times that their devices showed.

    Args:
        rows: what was logged.
        problems: told of requests without a time, and of times in another unit.
        offset: seconds by which search clocks are ahead of recommendation clocks.

    Returns:
        Requests: request, index, config, source, user_idx, timestamp and last (first and last exposure), window (oldest
        first), query, query_from_type, file, row. Exposures: request, note_idx, clicked, timestamp, position.
    """
    rows = rows.with_row_index("request")
    shown = _exploded(rows, offset)
    times = shown.group_by("request").agg(timestamp=pl.col("timestamp").min(), last=pl.col("timestamp").max())
    requests = rows.drop("details").join(times, on="request", how="left", maintain_order="left")
    requests = problems.rows(requests, pl.col("timestamp").is_null(), "no time", "none of its exposures has a time.")
    requests = problems.rows(
        requests,
        (pl.col("timestamp") < -ABSURD) | (pl.col("last") > ABSURD),
        "absurd time",
        "its time is more than a year from Qilin's day; recommendation has milliseconds, search has seconds.",
    )
    requests = requests.with_columns(
        pl.col("window").list.reverse(),  # Qilin delivers windows newest first; every history here runs the other way
        source=pl.col("config").replace_strict({config: channel.source for config, channel in CHANNELS.items()}),
    )
    return requests, shown


def log(requests: pl.DataFrame, shown: pl.DataFrame, clocks: Clocks = "reanchor") -> Log:
    """What `observe` found, on the day; of any number of users, but of each user all.

    Args:
        requests: as observed.
        shown: likewise.
        clocks: what becomes of requests whose device clock shows another day.
    """
    placed = place(requests, shown, clocks)
    shown = shown.join(placed.select("request", "shift", started="timestamp"), on="request")
    shown = shown.with_columns((pl.col("timestamp") + pl.col("shift")).fill_null(pl.col("started")))
    exposures = merge(shown)
    counts: dict[str, Any] = {
        "dropped_skewed": _per_config(requests.join(placed, on="request", how="anti")),
        "reanchored": _per_config(placed.filter(pl.col("shift") != 0)),
        "exposures_merged": shown.height - exposures.height,
    }
    return Log(placed.drop("last", "shift"), exposures, counts)


def place(requests: pl.DataFrame, shown: pl.DataFrame, clocks: Clocks) -> pl.DataFrame:
    """Requests on the day, with `shift`, the seconds that were added to their times.

    A device whose clock shows another day is taken to be wrong by whole days, as those in the release are: its request
    moves to the same time of Qilin's day. It is dropped if it does not fit in there, if the notes of its window were
    mostly clicked after it, or if no request is to be moved.

    Args:
        requests: request, user_idx, timestamp, last, window.
        shown: request, note_idx, clicked, timestamp.
        clocks: whether requests may be moved.
    """
    day = pl.col("timestamp").floordiv(DAY) * DAY
    shift = pl.when(_in_the_day("timestamp") & _in_the_day("last")).then(0).otherwise(-day)
    requests = requests.with_columns(shift=shift)
    moved = requests.filter(pl.col("shift") != 0)
    if moved.is_empty():
        return requests.filter(_in_the_day("timestamp") & _in_the_day("last"))
    requests = requests.with_columns(pl.col("timestamp", "last") + pl.col("shift"))
    fits = _in_the_day("timestamp") & _in_the_day("last") & (pl.lit(clocks == "reanchor") | (pl.col("shift") == 0))
    requests = requests.filter(fits)
    return requests.join(_contradicted(requests, shown), on="request", how="anti", maintain_order="left")


def merge(exposures: pl.DataFrame) -> pl.DataFrame:
    """One row per (request, note): clicked if ever, at the first click or else the first showing, best position."""
    once = exposures.select("request", "note_idx", "clicked", "timestamp", "position")
    key = pl.col("request").cast(pl.Int64) * (1 << 32) + pl.col("note_idx")
    repeated = once.select(key.is_duplicated()).to_series()
    merged = (
        once.filter(repeated)
        .group_by("request", "note_idx")
        .agg(
            pl.col("clicked").any(),
            timestamp=pl.coalesce(pl.col("timestamp").filter("clicked").min(), pl.col("timestamp").min()),
            position=pl.col("position").min(),
        )
    )
    return pl.concat([once.filter(~repeated), merged])


def _exploded(rows: pl.DataFrame, offset: int) -> pl.DataFrame:
    """One row per exposure: request, note_idx, clicked, timestamp (null when unknown), position (0 when unknown)."""
    shown = rows.select("request", "config", "details").explode("details", empty_as_null=False).unnest("details")
    recommended = pl.col("config").is_in([config for config, channel in CHANNELS.items() if channel is _REC])
    time = (
        pl.when(recommended).then(seconds(_REC, pl.col("clock"))).otherwise(seconds(_SEARCH, pl.col("clock"), offset))
    )
    return shown.select(
        "request",
        "note_idx",
        clicked=(pl.col("click") > 0).fill_null(False),
        timestamp=time,
        position=pl.col("position").fill_null(0),
    )


def _contradicted(requests: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """Moved requests of whose window more than half of the notes that the user clicked elsewhere were clicked later."""
    moved = requests.filter(pl.col("shift") != 0)
    owners = requests.join(moved.select("user_idx").unique(), on="user_idx", how="semi")
    clicks = shown.filter("clicked").join(
        owners.select("user_idx", "shift", elsewhere="request"), left_on="request", right_on="elsewhere", coalesce=False
    )
    clicks = clicks.select("user_idx", "note_idx", "elsewhere", clicked_at=pl.col("timestamp") + pl.col("shift"))
    held = moved.select("request", "user_idx", "timestamp", note_idx="window").explode("note_idx", empty_as_null=False)
    known = held.join(clicks, on=["user_idx", "note_idx"]).filter(pl.col("elsewhere") != pl.col("request"))
    first = known.group_by("request", "note_idx").agg(later=pl.col("clicked_at").min() >= pl.col("timestamp").first())
    return first.group_by("request").agg(pl.col("later").mean()).filter(pl.col("later") > 0.5).select("request")


def _in_the_day(name: str) -> pl.Expr:
    return pl.col(name).is_between(0, DAY + GRACE, closed="left")


def _per_config(frame: pl.DataFrame) -> dict[str, int]:
    return dict(frame["config"].value_counts().sort("config").iter_rows())
