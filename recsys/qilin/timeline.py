"""From one configuration's rows to requests and exposures on one clock: int64 seconds since Qilin's only day began."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl

from recsys.qilin.schema import REC_DETAILS, SEARCH_DETAILS, WINDOW

ORIGIN = 1_732_636_800  # 2024-11-27 00:00 in Beijing, as a Unix epoch in seconds
DAY = 86_400
GRACE = 3_600  # a request that began before midnight may go on after it
SEARCH_OFFSET = 28_800  # search clocks hold Beijing's wall-clock time written as if it were UTC


def rec_seconds(milliseconds: pl.Expr) -> pl.Expr:
    """Seconds since `ORIGIN` of a recommendation's `request_timestamp` (true epoch, milliseconds)."""
    return milliseconds // 1000 - ORIGIN


def search_seconds(seconds: pl.Expr) -> pl.Expr:
    """Seconds since `ORIGIN` of a search's or DQA's `search_timestamp` (Beijing time as if UTC, seconds)."""
    return seconds - SEARCH_OFFSET - ORIGIN


@dataclass(frozen=True)
class Channel:
    """Where a configuration keeps what; `prefix` separates the two id namespaces, in which integers recur."""

    source: str
    prefix: str
    index: str
    details: str
    clock: str
    seconds: Callable[[pl.Expr], pl.Expr]


_REC = Channel("rec", "r", "request_idx", REC_DETAILS, "request_timestamp", rec_seconds)
_SEARCH = Channel("search", "s", "search_idx", SEARCH_DETAILS, "search_timestamp", search_seconds)
_DQA = Channel("dqa", "s", "search_idx", SEARCH_DETAILS, "search_timestamp", search_seconds)

CHANNELS = {
    "recommendation_train": _REC,
    "recommendation_test": _REC,
    "search_train": _SEARCH,
    "search_test": _SEARCH,
    "dqa": _DQA,
}


@dataclass(frozen=True)
class Log:
    """Requests and what they showed.

    Attributes:
        requests: request_id, index, config, source, user_idx, timestamp (first exposure), window (oldest first),
            query, query_from_type (both null in recommendation).
        exposures: request_id, note_idx, clicked, timestamp, position; one row per (request, note).
        dropped: rows left out because a device clock was wrong ("skewed") or nothing was shown ("empty").
        merged: exposures that repeated a note within its request.
    """

    requests: pl.DataFrame
    exposures: pl.DataFrame
    dropped: dict[str, dict[str, int]]
    merged: int


def log(rows: pl.DataFrame, config: str) -> Log:
    """Requests and exposures of one configuration's rows (as `source.read` returns them)."""
    channel = CHANNELS[config]
    rows = rows.with_columns(request_id=pl.format(channel.prefix + "{}", channel.index))
    shown = explode(rows, channel)
    times = shown.group_by("request_id").agg(timestamp=pl.col("timestamp").min(), sound=_in_the_day().all())
    sound = times.filter("sound").drop("sound")
    kept = shown.join(sound, on="request_id", how="semi")
    exposures = merge(kept)
    requests = rows.join(sound, on="request_id").select(
        "request_id",
        index=pl.col(channel.index),
        config=pl.lit(config),
        source=pl.lit(channel.source),
        user_idx=pl.col("user_idx"),
        timestamp=pl.col("timestamp"),
        window=oldest_first(pl.col(WINDOW)),
        query=pl.col("query") if "query" in rows.columns else pl.lit(None, pl.String),
        query_from_type=pl.col("query_from_type") if "query" in rows.columns else pl.lit(None, pl.Int64),
    )
    dropped = {"skewed": times.height - sound.height, "empty": rows.height - times.height}
    return Log(requests, exposures, {config: dropped}, kept.height - exposures.height)


def together(logs: Iterable[Log]) -> Log:
    """All configurations as one log."""
    parts = list(logs)
    return Log(
        pl.concat(part.requests for part in parts),
        pl.concat(part.exposures for part in parts),
        {config: counts for part in parts for config, counts in part.dropped.items()},
        sum(part.merged for part in parts),
    )


def explode(rows: pl.DataFrame, channel: Channel) -> pl.DataFrame:
    """One row per exposure: request_id, note_idx, clicked, timestamp (null when unknown), position (0 when unknown)."""
    shown = rows.select("request_id", channel.details).explode(channel.details, empty_as_null=False)
    return shown.unnest(channel.details).select(
        "request_id",
        "note_idx",
        clicked=(pl.col("click") > 0).fill_null(False),
        timestamp=channel.seconds(pl.col(channel.clock)),
        position=pl.col("position").fill_null(0),
    )


def merge(exposures: pl.DataFrame) -> pl.DataFrame:
    """One row per (request, note): clicked if ever, at the first click or else the first showing, best position."""
    return exposures.group_by("request_id", "note_idx").agg(
        pl.col("clicked").any(),
        timestamp=pl.coalesce(pl.col("timestamp").filter("clicked").min(), pl.col("timestamp").min()),
        position=pl.col("position").min(),
    )


def oldest_first(window: pl.Expr) -> pl.Expr:
    """Qilin delivers windows newest first; every history here runs the other way."""
    return window.list.reverse()


def _in_the_day() -> pl.Expr:
    return pl.col("timestamp").is_between(0, DAY + GRACE, closed="left").fill_null(False)
