"""Qilin to atomic files with Polars, written straight down: what `recsys convert qilin` is measured against.

python benchmarks/convert_polars.py SOURCE OUTPUT
"""

import sys
from pathlib import Path

import polars as pl

ORIGIN, DAY, GRACE, BEIJING = 1_732_636_800, 86_400, 3_600, 28_800
SEARCH_TEST_START = 79_200
REC = ("rec", "r", "request_idx", "rec_result_details_with_idx", "request_timestamp")
SEARCH = ("search", "s", "search_idx", "search_result_details_with_idx", "search_timestamp")
CONFIGS = {
    "recommendation_train": REC,
    "recommendation_test": REC,
    "search_train": SEARCH,
    "search_test": SEARCH,
    "dqa": ("dqa", *SEARCH[1:]),
}


def normalise(text: pl.Expr) -> pl.Expr:
    unquoted = text.fill_null("").str.normalize("NFKC").str.replace_all('"', "'", literal=True)
    return unquoted.str.replace_all(r"[\s\p{Cc}]+", "")


def characters(text: pl.Expr) -> pl.Expr:
    return text.str.split("").list.join(" ")


def token(text: pl.Expr) -> pl.Expr:
    unquoted = text.fill_null("").str.strip_chars().str.replace_all('"', "'", literal=True)
    return unquoted.str.replace_all(r"[\s\p{Cc}]+", "_").replace("nan", "")


def joined(ids: pl.Expr) -> pl.Expr:
    return ids.cast(pl.List(pl.String)).list.join(" ")


def save(table: pl.LazyFrame | pl.DataFrame, path: Path) -> None:
    print(f"  {path.name}", file=sys.stderr, flush=True)
    table.lazy().sink_csv(path, separator="\t", quote_style="never")


def read(source: Path, config: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The requests within the day, and one row for each note that they showed."""
    print(f"  {config}", file=sys.stderr, flush=True)
    channel, prefix, index, details, clock = CONFIGS[config]
    text = ["query", "query_from_type"] if channel != "rec" else []
    rows = pl.scan_parquet(source / config / "*.parquet").with_columns(request_id=pl.format(prefix + "{}", index))
    second = pl.col(clock).cast(pl.Int64) // 1000 if channel == "rec" else pl.col(clock).cast(pl.Int64) - BEIJING
    shown = (
        rows.select("request_id", details)
        .explode(details)
        .unnest(details)
        .select("request_id", "note_idx", pl.col("click", "position").cast(pl.Int64), timestamp=second - ORIGIN)
    )
    times = shown.group_by("request_id").agg(pl.col("timestamp").min(), latest=pl.col("timestamp").max())
    times = times.filter(pl.col("timestamp") >= 0, pl.col("latest") < DAY + GRACE).drop("latest").collect()
    requests = (
        rows.select("request_id", "user_idx", *text, window=pl.col("recent_clicked_note_idxs").list.reverse())
        .join(times.lazy(), on="request_id")
        .with_columns(config=pl.lit(config), source=pl.lit(channel))
        .collect()
    )
    exposures = (
        shown.join(times.lazy().select("request_id"), on="request_id", how="semi")
        .group_by("request_id", "note_idx")
        .agg(
            pl.col("click").max(),
            pl.col("position").min(),
            timestamp=pl.coalesce(pl.col("timestamp").filter(pl.col("click") > 0).min(), pl.col("timestamp").min()),
        )
        .collect()
    )
    return requests, exposures


def split(requests: pl.DataFrame) -> pl.DataFrame:
    """Qilin's test; of its training requests the latest tenth is the validation."""
    training = requests.filter(config="recommendation_train")["timestamp"].sort()
    cut = training[-round(0.1 * len(training))]
    late = (pl.col("config") == "dqa") & (pl.col("timestamp") >= SEARCH_TEST_START)
    test = pl.col("config").is_in(["recommendation_test", "search_test"]) | late
    name = pl.when(test).then(pl.lit("test")).when(pl.col("timestamp") >= cut).then(pl.lit("valid"))
    return requests.with_columns(split=name.otherwise(pl.lit("train")))


def interactions(requests: pl.DataFrame, exposures: pl.DataFrame) -> pl.DataFrame:
    """All clicks; before a user's first request the window that came with it, a second between two clicks."""
    columns = ["user_idx", "note_idx", "timestamp", "request_id", "source", "split", "started", "position"]
    started = requests.rename({"timestamp": "started"})
    clicks = exposures.filter(pl.col("click") > 0).join(started, on="request_id").select(columns)
    number = pl.col("request_id").str.slice(1).cast(pl.Int64)
    first = started.sort("started", "source", number).unique("user_idx", keep="first", maintain_order=True)
    prefix = (
        first.with_columns(step=pl.int_ranges(-pl.col("window").list.len().cast(pl.Int64), 0))
        .filter(pl.col("window").list.len() > 0)
        .explode("window", "step")
        .with_columns(
            note_idx="window",
            timestamp=pl.col("started") + pl.col("step"),
            request_id=pl.lit("w"),
            source=pl.lit("window"),
            position=pl.lit(0, pl.Int64),
        )
        .select(columns)
    )
    events = pl.concat([clicks, prefix]).with_columns(pl.col("user_idx").cast(pl.String))
    return events.sort("user_idx", "timestamp", "started", "request_id", "position", "note_idx").select(
        pl.col("user_idx").alias("user_id:token"),
        pl.col("note_idx").alias("item_id:token"),
        pl.col("timestamp").alias("timestamp:float"),
        pl.col("request_id").alias("request_id:token"),
        pl.col("source").alias("source:token"),
        pl.col("split").alias("split:token"),
    )


def convert(source: Path, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    stem = output / output.name
    parts = [read(source, config) for config in CONFIGS if (source / config).is_dir()]
    requests = split(pl.concat([part[0] for part in parts], how="diagonal"))
    exposures = pl.concat([part[1] for part in parts])
    save(interactions(requests, exposures), stem.with_suffix(".inter"))

    lists = exposures.sort("request_id", "note_idx").group_by("request_id", maintain_order=True)
    lists = lists.agg("note_idx", "position", clicked=pl.col("note_idx").filter(pl.col("click") > 0))
    requests = requests.join(lists, on="request_id")
    recommended = (
        requests.filter(source="rec")
        .sort("timestamp", "request_id")
        .select(
            pl.col("request_id").alias("request_id:token"),
            pl.col("user_idx").alias("user_id:token"),
            pl.col("timestamp").alias("timestamp:float"),
            pl.col("split").alias("split:token"),
            joined(pl.col("window")).alias("history:token_seq"),
            joined(pl.col("note_idx")).alias("exposed:token_seq"),
            joined(pl.col("position")).alias("position:float_seq"),
            joined(pl.col("clicked")).alias("clicked:token_seq"),
        )
    )
    save(recommended, stem.with_suffix(".request"))

    searched = requests.filter(pl.col("source") != "rec").with_columns(query=normalise(pl.col("query")))
    queries = searched.select("query").filter(pl.col("query") != "").unique().sort("query")
    queries = queries.select(pl.format("q{}", pl.int_range(pl.len())).alias("query_id:token"), "query")
    kind = pl.col("query_from_type").cast(pl.Int64, strict=False)
    searches = searched.join(queries, on="query", how="left").with_columns(pl.col("user_idx").cast(pl.String))
    searches = searches.sort("user_idx", "timestamp", "request_id").select(
        pl.col("request_id").alias("search_id:token"),
        pl.col("user_idx").alias("user_id:token"),
        pl.col("timestamp").alias("timestamp:float"),
        "query_id:token",
        pl.when(kind.is_between(1, 8)).then(kind).otherwise(0).alias("query_from_type:token"),
        joined(pl.col("clicked")).alias("clicked:token_seq"),
        pl.col("split").alias("split:token"),
    )
    save(searches, stem.with_suffix(".search"))
    spelt = queries.select("query_id:token", characters(pl.col("query")).alias("query:token_seq"))
    save(spelt, stem.with_suffix(".query"))

    notes = (
        pl.scan_parquet(source / "notes" / "*.parquet")
        .sort("note_idx")
        .select(
            pl.col("note_idx").alias("item_id:token"),
            characters(normalise(pl.col("note_title"))).alias("title:token_seq"),
            *(token(pl.col(f"taxonomy{level}_id")).alias(f"taxonomy{level}:token") for level in (1, 2, 3)),
            pl.col("note_type").cast(pl.Int64, strict=False).alias("type:token"),
        )
    )
    save(notes, stem.with_suffix(".item"))
    users = (
        pl.scan_parquet(source / "user_feat" / "*.parquet")
        .sort("user_idx")
        .select(
            pl.col("user_idx").alias("user_id:token"),
            *(token(pl.col(name)).alias(f"{name}:token") for name in ("gender", "platform", "age", "location")),
        )
    )
    save(users, stem.with_suffix(".user"))


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
