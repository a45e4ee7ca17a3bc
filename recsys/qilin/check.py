"""Whether a folder holds the Qilin that we know: all that is looked at on first contact, before a conversion."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from recsys.errors import did_you_mean
from recsys.qilin import clock, findings
from recsys.qilin.findings import Finding
from recsys.qilin.schema import EXPOSURE_NEEDS, NEEDS, SYNTHETIC, WINDOW
from recsys.qilin.source import locate, readable
from recsys.qilin.timeline import CHANNELS, SEARCH_OFFSET, seconds

_CONFIGS = pl.Enum(list(CHANNELS))


class Features(NamedTuple):
    """Of notes or user_feat: the numbers of all rows; per text column the rows that are null, and that say "nan"."""

    numbers: pl.Series
    nulls: dict[str, int]
    nans: dict[str, int]


def check(root: Path, progress: Callable[[str], None] = lambda _: None) -> list[Finding]:
    """All findings on the Qilin in `root`, which is only read; none but the missing columns, if there are any.

    Args:
        root: holds `<configuration>/*.parquet`, or `data/<configuration>/*.parquet`.
        progress: called with a short line before each step.

    Raises:
        InputError: no such folder, no file of a required configuration, or one that cannot be read.
    """
    files = locate(Path(root))
    if faults := [fault for config, paths in files.items() for path in paths for fault in _faults(path, config)]:
        return [Finding("columns", "wrong", "one is missing", "those of the release", fault) for fault in faults]
    requests, exposures = _log(files, progress)
    progress("reading notes")
    notes = _features(files["notes"], "notes", "note_idx")
    users = _features(files["user_feat"], "user_feat", "user_idx") if "user_feat" in files else None
    progress("comparing")
    return [
        *_origin(Path(root)),
        *_rows(files, requests, notes, users),
        *_ids(requests, exposures, notes, users),
        *_behaviour(requests, exposures),
        findings.search_clock(clock.calibrate(_evidence(requests, exposures))),
    ]


def verdict(found: list[Finding]) -> str:
    """The findings in one sentence."""
    differing, wrong = (sum(finding.status == status for finding in found) for status in ("differs", "wrong"))
    if wrong:
        return f"Not fit for conversion: {wrong} of {len(found)} findings are wrong."
    if differing:
        return f"Qilin's format with other content, such as a sample: {differing} of {len(found)} findings differ."
    return f"This is the Qilin that we know: all {len(found)} findings are as published."


def _faults(path: Path, config: str) -> Iterator[str]:
    with readable(path):
        schema = pl.read_parquet_schema(path)
    for column in NEEDS[config]:
        if column not in schema:
            yield f"{path}: no column {column!r}.{did_you_mean(column, schema)}"
        elif column in EXPOSURE_NEEDS:
            fields = [field.name for field in getattr(getattr(schema[column], "inner", None), "fields", ())]
            for field in EXPOSURE_NEEDS[column]:
                if field not in fields:
                    yield f"{path}: the structs of column {column!r} have no {field!r}.{did_you_mean(field, fields)}"


def _log(files: dict[str, list[Path]], progress: Callable[[str], None]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Requests and exposures of all configurations, as `findings` describes them."""
    requests, exposures, count = [], [], 0
    for config in (config for config in CHANNELS if config in files):
        progress(f"reading {config}")
        for path in files[config]:
            with readable(path):
                rows, shown = _read(path, config, count)
            requests.append(rows)
            exposures.append(shown)
            count += rows.height
    shown = pl.concat(exposures)
    first = shown.group_by("request").agg(pl.col("timestamp").min(), shown=pl.len())
    rows = pl.concat(requests).join(first, on="request", how="left", maintain_order="left")
    return rows.with_columns(pl.col("shown").fill_null(0)), shown


def _read(path: Path, config: str, first: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    channel = CHANNELS[config]
    present = pl.read_parquet_schema(path)
    columns = [channel.index, "user_idx", WINDOW, channel.details]
    columns += [name for name in ("session_idx", "query", "query_from_type") if name in present]
    frame = pl.read_parquet(path, columns=columns, hive_partitioning=False).with_row_index("row")
    frame = frame.with_columns(config=pl.lit(config, _CONFIGS), request=pl.col("row").cast(pl.UInt32) + first)

    def column(name: str, dtype: type[pl.DataType] = pl.Int64) -> pl.Expr:
        return pl.col(name).cast(dtype, strict=False) if name in frame.columns else pl.lit(None, dtype)

    requests = frame.select(
        "config",
        "row",
        "request",
        source=pl.lit(channel.source),
        file=pl.lit(str(path)),
        index=column(channel.index),
        user_idx=column("user_idx"),
        session_idx=column("session_idx"),
        query=column("query", pl.String),
        query_from_type=column("query_from_type"),
        window=pl.col(WINDOW).list.eval(pl.element().cast(pl.Int64, strict=False)),
    )
    shown = frame.select("config", "request", channel.details).drop_nulls()
    shown = shown.explode(channel.details, empty_as_null=False).unnest(channel.details)
    numbers = [pl.col(name).cast(pl.Int64, strict=False) for name in ("note_idx", "click", "position")]
    clock_ = pl.col(channel.clock).cast(pl.Int64, strict=False)
    return requests, shown.select("config", "request", *numbers, timestamp=seconds(channel, clock_))


def _features(paths: list[Path], config: str, number: str) -> Features:
    """Of one file after the other, and never more than the numbers at once: texts take gigabytes."""
    texts = [name for name, kind in NEEDS[config].items() if kind in ("text", "category")]
    numbers, nulls, nans = [], dict.fromkeys(texts, 0), dict.fromkeys(texts, 0)
    for path in paths:
        lazy = pl.scan_parquet(path, hive_partitioning=False)
        counts = lazy.select(
            *(pl.col(name).null_count().alias(name) for name in texts),
            *((pl.col(name).cast(pl.String) == "nan").sum().alias(f"{name} nan") for name in texts),
        )
        with readable(path):
            numbers.append(lazy.select(pl.col(number).cast(pl.Int64, strict=False)).collect()[number])
            found = counts.collect(engine="streaming").row(0, named=True)
        for name in texts:
            nulls[name] += found[name]
            nans[name] += found[f"{name} nan"]
    return Features(pl.concat(numbers), nulls, nans)


def _origin(root: Path) -> Iterator[Finding]:
    if (root / SYNTHETIC).is_file():
        hint = "What is measured on it says nothing about Qilin."
        yield Finding("origin", "differs", f"synthetic, by {SYNTHETIC}", "the release", hint)


def _rows(
    files: dict[str, list[Path]], requests: pl.DataFrame, notes: Features, users: Features | None
) -> Iterator[Finding]:
    counts = dict(requests["config"].value_counts().iter_rows())
    counts |= {"notes": len(notes.numbers)} | ({"user_feat": len(users.numbers)} if users else {})
    for config in NEEDS:
        yield findings.rows(config, counts.get(config, 0) if config in files else None)


def _ids(requests: pl.DataFrame, exposures: pl.DataFrame, notes: Features, users: Features | None) -> Iterator[Finding]:
    seen = pl.concat([exposures["note_idx"].unique(), requests["window"].explode(empty_as_null=False).unique()])
    yield findings.note_numbers(notes.numbers)
    yield findings.note_ids(seen.unique().drop_nulls(), notes.numbers)
    yield findings.user_ids(requests["user_idx"].unique().drop_nulls(), users.numbers if users else None)
    for column, recommended in (("request_idx", True), ("search_idx", False)):
        mine = requests.filter((pl.col("source") == "rec") == recommended)
        yield findings.request_numbers(mine, column)
    for (config,), mine in requests.group_by("config", maintain_order=True):
        yield findings.missing(mine, exposures.filter(pl.col("config") == config))
    for config, features in (("notes", notes), ("user_feat", users)):
        if features and len(features.numbers):
            yield findings.missing_texts(config, features.nulls, features.nans, len(features.numbers))


def _behaviour(requests: pl.DataFrame, exposures: pl.DataFrame) -> Iterator[Finding]:
    yield findings.positives(exposures)
    yield findings.clickless(requests, exposures)
    yield findings.repeated_exposures(exposures)
    yield findings.own_clicks(requests, exposures)
    yield findings.window_order(requests, exposures)
    for _, mine in requests.group_by("config", maintain_order=True):
        yield findings.times(mine)
    yield findings.split_overlap(requests)
    yield findings.sessions(requests)


def _evidence(requests: pl.DataFrame, exposures: pl.DataFrame) -> pl.DataFrame:
    """With the search clock as it is, and each request's clicks once."""
    raw = pl.col("timestamp") + pl.when(pl.col("source") == "rec").then(0).otherwise(SEARCH_OFFSET)
    requests = requests.select("request", "user_idx", "window", channel="source", timestamp=raw)
    clicks = exposures.filter(pl.col("click") > 0).group_by("request", "note_idx").agg(pl.col("timestamp").min())
    owners = requests.select("request", "user_idx", source="channel")
    clicks = clicks.join(owners, on="request").select("user_idx", "note_idx", channel="source", timestamp=raw)
    return clock.evidence(requests, clicks)
