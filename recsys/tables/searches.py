"""Who searched for what, and which results were clicked."""

import polars as pl

from recsys import atomic
from recsys.tables.options import Options
from recsys.tables.reading import Table, columns, read
from recsys.tables.splits import STAGE, split_searches
from recsys.tables.values import identified, texts, timed


def read_searches(table: Table, options: Options, problems: atomic.Problems) -> pl.DataFrame:
    """Columns user_id, timestamp (in microseconds), query, and item_id, which is null where no result was clicked.

    Raises:
        InputError: the table cannot be read, lacks a column or holds a bad row.
    """
    told = options.item_id in columns(table)
    names = options.called("user_id", "timestamp", "query", *(["item_id"] if told else []))
    frame = identified(read(table, "searches", names), "user_id", options.user_id, problems)
    frame = timed(frame, options.timestamp, options.time_unit, problems)
    frame = frame.with_columns(texts(frame["query"]).alias("query"))
    frame = problems.rows(frame, pl.col("query") == "", "no query", f"its {options.query} is empty.")
    if not told:
        return frame.select("user_id", "timestamp", "query", item_id=pl.lit(None, pl.String))
    clicked = pl.col("item_id").is_not_null() & (pl.col("item_id").cast(pl.String) != "")
    named = identified(frame.filter(clicked), "item_id", options.item_id, problems)
    unnamed = frame.filter(~clicked).with_columns(item_id=pl.lit(None, pl.String))
    return pl.concat([named, unnamed]).sort("file", "row").select("user_id", "timestamp", "query", "item_id")


def search_log(rows: pl.DataFrame, clicks: pl.DataFrame, options: Options) -> pl.DataFrame:
    """One search for each user, second and query, with its split and the results that were clicked.

    Of these, what its user clicks in a later split is not told: nobody knows whether that is the same click.
    """
    found = rows.group_by("user_id", "timestamp", "query", maintain_order=True).agg(
        clicked=pl.col("item_id").drop_nulls().unique(maintain_order=True)
    )
    number = found["query"].rank("dense").cast(pl.String)
    found = split_searches(found, clicks, options).with_row_index("search_id")
    found = found.with_columns(
        pl.col("search_id").cast(pl.String), query_id="q" + number, query_from_type=pl.lit(str(atomic.TYPED))
    )
    return found.drop("clicked").join(_told(found, clicks), on="search_id", how="left", maintain_order="left")


def _told(found: pl.DataFrame, clicks: pl.DataFrame) -> pl.DataFrame:
    """Columns search_id and clicked, of searches with any."""
    stage = pl.col("split").replace_strict(STAGE, return_dtype=pl.Int8)
    pairs = found.select("search_id", "user_id", stage.alias("known"), item_id="clicked").explode("item_id")
    held_out = clicks.group_by("user_id", "item_id").agg(held_out=stage.max())
    pairs = pairs.join(held_out, on=["user_id", "item_id"], how="left", maintain_order="left")
    kept = pairs.filter(pl.col("item_id").is_not_null() & (pl.col("held_out").fill_null(0) <= pl.col("known")))
    return kept.group_by("search_id", maintain_order=True).agg(clicked="item_id")
