"""The tables that become atomic files, each a pure function of the log of some users, in total orders of their rows."""

import hashlib

import polars as pl

from recsys.qilin import text
from recsys.qilin.items import scatter
from recsys.qilin.options import Dedup
from recsys.qilin.timeline import CHANNELS

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
        "note_idx": "token",
    },
    "user": {"user_id": "token", "gender": "token", "platform": "token", "age": "token", "location": "token"},
}

WINDOW_ID = "w"  # request_id of a click that is known only from a window


def interactions(requests: pl.DataFrame, exposures: pl.DataFrame) -> pl.DataFrame:
    """Every click, after each user's prefix; sorted by user, time, start of the request, request, position.

    Columns: user_id, item_id, timestamp, request_id, source, split.
    """
    named = requests.with_columns(request_id=_request_id())
    columns = ["user_idx", "timestamp", "started", "index", "position", "item_id", "request_id", "source", "split"]
    about = named.select("request", "user_idx", "index", "request_id", "source", "split", started="timestamp")
    clicks = exposures.filter("clicked").join(about, on="request")
    events = pl.concat([clicks.select(columns), prefixes(requests).select(columns)])
    return events.sort("user_idx", "timestamp", "started", "request_id", "position", "item_id").select(
        "item_id", "timestamp", "request_id", "source", "split", user_id="user_idx"
    )


def prefixes(requests: pl.DataFrame) -> pl.DataFrame:
    """The window of each user's earliest request as clicks one second apart that end one second before it.

    Later windows repeat these clicks and the logged ones, so they are not added.
    """
    first = requests.sort("timestamp", "source", "index").unique("user_idx", keep="first", maintain_order=True)
    length = pl.col("window").list.len().cast(pl.Int64)
    steps = first.with_columns(step=pl.int_ranges(-length, 0)).explode("window", "step", empty_as_null=False)
    return steps.select(
        "user_idx",
        "index",
        "split",
        item_id="window",
        started="timestamp",
        timestamp=pl.col("timestamp") + pl.col("step"),
        request_id=pl.lit(WINDOW_ID),
        source=pl.lit("window"),
        position=pl.lit(0, pl.Int64),
    )


def deduplicated(events: pl.DataFrame, dedup: Dedup) -> pl.DataFrame:
    """Events without a user's repeated clicks on an item: those next to each other, or all.

    The earliest of them stays: to leave out an earlier one for the sake of a later one would be to know the future.
    """
    if dedup == "adjacent":
        same = (pl.col("user_id") == pl.col("user_id").shift()) & (pl.col("item_id") == pl.col("item_id").shift())
        return events.filter(~same.fill_null(False))
    if dedup == "all":
        return events.unique(["user_id", "item_id"], keep="first", maintain_order=True)
    return events


def recommendation_requests(requests: pl.DataFrame, exposures: pl.DataFrame) -> pl.DataFrame:
    """Targets with their candidates in an order that tells nothing; sorted by user, time, request."""
    requests = requests.filter("target").sort("user_idx", "timestamp", "index")
    shown = requests.join(scattered(requests, exposures), on="request", maintain_order="left")
    return shown.select(
        "timestamp",
        "split",
        "exposed",
        "position",
        "clicked",
        request_id=_request_id(),
        user_id="user_idx",
        history="window",
    )


def searches(requests: pl.DataFrame, exposures: pl.DataFrame) -> pl.DataFrame:
    """Searches, those without a click included; sorted by user, time, search. `text` is the query."""
    requests = requests.filter(pl.col("source") != "rec").sort("user_idx", "timestamp", "index")
    requests = requests.with_columns(text=text.normalise(pl.col("query")))
    found = requests.join(scattered(requests, exposures), on="request", maintain_order="left")
    return found.select(
        "timestamp",
        "clicked",
        "split",
        "text",
        search_id=_request_id(),
        user_id="user_idx",
        query_id=query_ids(found["text"]),
        query_from_type=pl.when(pl.col("query_from_type").is_between(1, 8)).then("query_from_type").otherwise(0),
    )


def query_ids(texts: pl.Series) -> pl.Series:
    """An id that depends on the text alone (64 bits of its BLAKE2b); "" for a search without words."""
    distinct = texts.unique().to_list()
    digests = ["q" + hashlib.blake2b(each.encode(), digest_size=8).hexdigest() if each else "" for each in distinct]
    return texts.replace_strict(distinct, digests, return_dtype=pl.String).alias("query_id")


def queries(found: pl.DataFrame) -> pl.DataFrame:
    """Distinct query texts, sorted by query_id: query_id, query (its characters)."""
    distinct = found.select("query_id", "text").filter(pl.col("text") != "").unique().sort("query_id")
    return distinct.select("query_id", query=text.characters(pl.col("text")))


def items(notes: pl.DataFrame) -> pl.DataFrame:
    """Notes, with the `item_id` that each has, as items."""
    return notes.select(
        pl.col("item_id", "note_idx").cast(pl.UInt32),  # millions of them are held until they are sorted
        title=text.characters(pl.col("note_title")),
        taxonomy1=_tokens(notes["taxonomy1_id"]),
        taxonomy2=_tokens(notes["taxonomy2_id"]),
        taxonomy3=_tokens(notes["taxonomy3_id"]),
        type="note_type",
    )


def users(features: pl.DataFrame) -> pl.DataFrame:
    """User features sorted by the user's number."""
    columns = [text.token(pl.col(name)) for name in ("gender", "platform", "age", "location")]
    return features.sort("user_idx").select(pl.col("user_idx").alias("user_id"), *columns)


def scattered(requests: pl.DataFrame, exposures: pl.DataFrame) -> pl.DataFrame:
    """Per request, which all have exposures: exposed, position (aligned with exposed) and clicked.

    In the order of a hash of (request, item): the delivered order puts clicked notes last.
    """
    shown = exposures.join(requests.select("request", "index"), on="request")
    key = scatter(shown["index"].to_numpy(), shown["item_id"].to_numpy())
    ordered = shown.with_columns(key=key).sort("request", "key", "item_id")
    return ordered.group_by("request", maintain_order=True).agg(
        exposed="item_id", position="position", clicked=pl.col("item_id").filter("clicked")
    )


def _tokens(texts: pl.Series) -> pl.Series:
    """Each text as one token; those of taxonomies are a few hundred distinct ones."""
    distinct = pl.DataFrame({"text": texts.unique()}).with_columns(token=text.token(pl.col("text")))
    return texts.replace_strict(distinct["text"], distinct["token"]).cast(pl.Categorical)


def _request_id() -> pl.Expr:
    prefixes = {config: channel.prefix for config, channel in CHANNELS.items()}
    return pl.col("config").replace_strict(prefixes, return_dtype=pl.String) + pl.col("index").cast(pl.String)
