"""The tables that become atomic files, each a pure function of the log; total sort orders make them reproducible."""

import numpy as np
import polars as pl

from recsys.qilin import text

TYPES: dict[str, dict[str, str]] = {
    "inter": {
        "user_id": "token",
        "item_id": "token",
        "timestamp": "float",
        "request_id": "token",
        "source": "token",
        "split": "token",
    },
    "request": {
        "request_id": "token",
        "user_id": "token",
        "timestamp": "float",
        "split": "token",
        "history": "token_seq",
        "exposed": "token_seq",
        "position": "float_seq",
        "clicked": "token_seq",
    },
    "search": {
        "search_id": "token",
        "user_id": "token",
        "timestamp": "float",
        "query_id": "token",
        "query_from_type": "token",
        "clicked": "token_seq",
        "split": "token",
    },
    "query": {"query_id": "token", "query": "token_seq"},
    "item": {
        "item_id": "token",
        "title": "token_seq",
        "taxonomy1": "token",
        "taxonomy2": "token",
        "taxonomy3": "token",
        "type": "token",
    },
    "user": {"user_id": "token", "gender": "token", "platform": "token", "age": "token", "location": "token"},
}

WINDOW_ID = "w"  # request_id of a click that is known only from a window


def interactions(requests: pl.DataFrame, exposures: pl.DataFrame) -> pl.DataFrame:
    """Every click, after each user's prefix; sorted by user, time, request time, request, position."""
    clicks = exposures.filter("clicked").join(
        requests.select("request_id", "user_idx", "source", "split", started="timestamp"), on="request_id"
    )
    columns = ["user_idx", "note_idx", "timestamp", "started", "request_id", "source", "split", "position"]
    events = pl.concat([clicks.select(columns), prefixes(requests).select(columns)])
    named = events.with_columns(user_id=pl.col("user_idx").cast(pl.String), item_id=pl.col("note_idx").cast(pl.String))
    return named.sort("user_id", "timestamp", "started", "request_id", "position", "item_id")


def prefixes(requests: pl.DataFrame) -> pl.DataFrame:
    """The window of each user's earliest request as clicks one second apart that end one second before it.

    Later windows repeat these clicks and the logged ones, so they are not added.
    """
    first = requests.sort("timestamp", "request_id").unique("user_idx", keep="first", maintain_order=True)
    length = pl.col("window").list.len().cast(pl.Int64)
    steps = first.with_columns(step=pl.int_ranges(-length, 0)).explode("window", "step", empty_as_null=False)
    return steps.select(
        "user_idx",
        "split",
        note_idx="window",
        started="timestamp",
        timestamp=pl.col("timestamp") + pl.col("step"),
        request_id=pl.lit(WINDOW_ID),
        source=pl.lit("window"),
        position=pl.lit(0, pl.Int64),
    )


def recommendation_requests(requests: pl.DataFrame, exposures: pl.DataFrame) -> pl.DataFrame:
    """Recommendation requests with their candidates in an order that tells nothing; sorted by time, request."""
    requests = requests.filter(source="rec")
    shown = requests.join(scattered(requests, exposures), on="request_id")
    return shown.select(
        "request_id",
        "timestamp",
        "split",
        "exposed",
        "position",
        "clicked",
        user_id=pl.col("user_idx").cast(pl.String),
        history="window",
    ).sort("timestamp", "request_id")


def searches(requests: pl.DataFrame, exposures: pl.DataFrame, queries: pl.DataFrame) -> pl.DataFrame:
    """Searches, those without a click included; sorted by user, time, search."""
    requests = requests.filter(pl.col("source") != "rec").with_columns(text=text.normalise(pl.col("query")))
    found = requests.join(scattered(requests, exposures), on="request_id").join(queries, on="text", how="left")
    return found.select(
        "timestamp",
        "query_id",
        "clicked",
        "split",
        search_id="request_id",
        user_id=pl.col("user_idx").cast(pl.String),
        query_from_type=pl.when(pl.col("query_from_type").is_between(1, 8)).then("query_from_type").otherwise(0),
    ).sort("user_id", "timestamp", "search_id")


def queries(requests: pl.DataFrame) -> pl.DataFrame:
    """Distinct non-empty query texts: query_id (numbered in the order of the texts), text, query (its characters)."""
    distinct = requests.select(text=text.normalise(pl.col("query"))).filter(pl.col("text") != "").unique().sort("text")
    return distinct.select(
        query_id=pl.format("q{}", pl.int_range(pl.len())), text="text", query=pl.col("text").str.split("")
    )


def items(notes: pl.DataFrame) -> pl.DataFrame:
    """Notes sorted by their number."""
    return notes.sort("note_idx").select(
        item_id=pl.col("note_idx").cast(pl.String),
        title=text.characters(pl.col("note_title")),
        taxonomy1=text.token(pl.col("taxonomy1_id")),
        taxonomy2=text.token(pl.col("taxonomy2_id")),
        taxonomy3=text.token(pl.col("taxonomy3_id")),
        type="note_type",
    )


def users(features: pl.DataFrame) -> pl.DataFrame:
    """User features sorted by the user's number."""
    columns = [text.token(pl.col(name)) for name in ("gender", "platform", "age", "location")]
    return features.sort("user_idx").select(pl.col("user_idx").cast(pl.String).alias("user_id"), *columns)


def scattered(requests: pl.DataFrame, exposures: pl.DataFrame) -> pl.DataFrame:
    """Per request, which all have exposures: exposed, position (aligned with exposed) and clicked.

    In the order of a hash of (request, note): the delivered order puts clicked notes last, and their numbers were
    assigned by role.
    """
    shown = exposures.join(requests.select("request_id", "index"), on="request_id")
    key = scatter(shown["index"].to_numpy(), shown["note_idx"].to_numpy())
    ordered = shown.with_columns(key=key).sort("request_id", "key", "note_idx")
    return ordered.group_by("request_id", maintain_order=True).agg(
        exposed="note_idx", position="position", clicked=pl.col("note_idx").filter("clicked")
    )


def scatter(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A 64-bit hash `[n]` of pairs of integers (SplitMix64's finaliser): the same on every machine and version."""
    x = first.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + second.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))
