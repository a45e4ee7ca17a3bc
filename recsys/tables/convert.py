"""Tables of clicks, searches and items → a folder of atomic files: all or nothing."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from recsys import atomic
from recsys.errors import InputError
from recsys.files import sha256
from recsys.tables.items import described
from recsys.tables.options import Options
from recsys.tables.reading import Table, read
from recsys.tables.searches import read_searches, search_log
from recsys.tables.splits import STAGE, split_clicks
from recsys.tables.times import MICROSECONDS
from recsys.tables.values import identified, timed

INTER = {"user_id": "token", "item_id": "token", "timestamp": "float", "split": "token"}
REQUEST = {
    **{"request_id": "token", "user_id": "token", "timestamp": "float", "split": "token"},
    "clicked": "token_seq",
}
SEARCH = {
    **{"search_id": "token", "user_id": "token", "timestamp": "float", "query_id": "token"},
    **{"query_from_type": "token", "clicked": "token_seq", "split": "token"},
}
QUERY = {"query_id": "token", "query": "token"}
DAY = 86_400  # seconds


def convert(
    clicks: Table,
    output: Path,
    searches: Table | None = None,
    items: Table | None = None,
    options: Options = Options(),  # noqa: B008 (frozen)
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the data set folder `output`, its files named after it; return its meta.

    Each table is a Polars frame, a `.csv`, `.tsv`, `.jsonl` (these may end in .gz) or `.parquet` file, or a folder of
    such files. Times become whole seconds since the midnight (UTC) before the first click or search.

    Args:
        clicks: who, what, when; one row each, in any order. Those of one second keep the order that they come in.
        output: folder to write, all or nothing. An earlier conversion in it is replaced.
        searches: who, when and in which words; and which result was clicked, a row for each.
        items: item_id, and whatever is known of the items: texts and whole numbers become categories, other numbers
            features, lists of numbers vectors, the title a text to read.
        options: names of columns, split, and what becomes of bad rows.
        progress: called with a short line before each step.

    Raises:
        InputError: a table that cannot be read, lacks a column or holds a bad row; an empty split; an `output` that
            holds something else or cannot be written.
    """
    atomic.require_own(output, *(source for source in (clicks, searches, items) if isinstance(source, Path)))
    problems = atomic.Problems(skip=options.on_error == "skip")
    progress("reading clicks")
    clicked = _clicks(clicks, options, problems)
    searched = None
    if searches is not None:
        progress("reading searches")
        searched = read_searches(searches, options, problems)
    times = pl.concat([frame["timestamp"] for frame in (clicked, searched) if frame is not None])
    origin = int(times.to_numpy().min()) // MICROSECONDS["s"] // DAY * DAY
    clicked = split_clicks(_seconds(clicked, origin), options)
    files: dict[str, tuple[pl.DataFrame, dict[str, str]]] = {"inter": (clicked, INTER)}
    counts: dict[str, Any] = {"clicks": len(clicked), "users": clicked["user_id"].n_unique()}
    counts |= {"items": clicked["item_id"].n_unique(), "per_split": _tally(clicked)}
    if options.split == "temporal":
        files["request"] = (_requests(clicked), REQUEST)
    if searched is not None:
        known = searched.join(clicked.select("user_id").unique(), on="user_id", how="semi", maintain_order="left")
        log = search_log(_seconds(known, origin), clicked, options)
        queries = log.select("query_id", "query").unique().sort("query_id")
        files |= {"search": (log, SEARCH), "query": (queries, QUERY)}
        counts |= {"searches": len(log), "queries": len(queries), "searches_per_split": _tally(log)}
        counts["rows_of_users_without_clicks"] = len(searched) - len(known)
    if items is not None:
        progress("reading items")
        files["item"] = described(items, options, problems)
        counts["items_described"] = len(files["item"][0])
    counts["bad_rows_left_out"] = problems.counts
    progress("writing")
    about = {"clicks": clicks, "searches": searches, "items": items}
    named = {name: str(table) if isinstance(table, Path) else "a frame" for name, table in about.items()}
    meta = {
        "source": {name: named[name] for name, table in about.items() if table is not None},
        "time_origin": origin,
        "time_unit": "s",
        "options": asdict(options),
        "counts": counts,
    }
    return _written(output, files, meta)


def _clicks(table: Table, options: Options, problems: atomic.Problems) -> pl.DataFrame:
    """Columns user_id, item_id and timestamp, in microseconds."""
    frame = read(table, "clicks", options.called("user_id", "item_id", "timestamp"))
    for name in ("user_id", "item_id"):
        frame = identified(frame, name, getattr(options, name), problems)
    frame = timed(frame, options.timestamp, options.time_unit, problems)
    if frame.is_empty():
        raise InputError(f"{'the clicks' if isinstance(table, pl.DataFrame) else table}: not a single click.")
    return frame.select("user_id", "item_id", "timestamp")


def _seconds(frame: pl.DataFrame, origin: int) -> pl.DataFrame:
    """Sorted by user and time, which is in whole seconds since `origin`; what comes together keeps its order."""
    ordered = frame.sort("user_id", "timestamp", maintain_order=True)
    return ordered.with_columns(timestamp=pl.col("timestamp") // MICROSECONDS["s"] - origin)


def _requests(clicks: pl.DataFrame) -> pl.DataFrame:
    """A user's clicks of one second are one request, answered from what came before that second."""
    alike = clicks.group_by("user_id", "timestamp", "split", maintain_order=True).agg(clicked="item_id")
    return alike.with_row_index("request_id").with_columns(pl.col("request_id").cast(pl.String))


def _tally(frame: pl.DataFrame) -> dict[str, int]:
    return {split: int((frame["split"] == split).sum()) for split in STAGE}


def _written(
    output: Path, files: dict[str, tuple[pl.DataFrame, dict[str, str]]], meta: dict[str, Any]
) -> dict[str, Any]:
    stem = output.absolute().name
    features = {kind: types for kind, (_, types) in files.items() if kind == "item"}
    with atomic.replaced(output) as new:
        for kind, (frame, types) in files.items():
            atomic.write(frame, new / f"{stem}.{kind}", types)
        (new / f"{stem}.yaml").write_text(atomic.recbole_config(stem, features), encoding="utf-8")
        meta = {**meta, "sha256": {path.name: sha256(path) for path in sorted(new.iterdir())}}
        text = json.dumps(meta, indent=2, ensure_ascii=False) + "\n"
        (new / f"{stem}.meta.json").write_text(text, encoding="utf-8")
    return meta
