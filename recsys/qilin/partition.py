"""What is computed from the rows of some users, wherever it runs: pure functions, from rows to bytes that add up.

A conversion goes over the users twice (three times with `min_count`): the first time to learn what only all of them can
tell, the last time to write. A *block* is what one partition yields: a name → bytes.
"""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from recsys import atomic
from recsys.atomic.problems import Problems
from recsys.qilin import clock, protocol, tables
from recsys.qilin.items import exist, numbers, renumbered
from recsys.qilin.options import Options
from recsys.qilin.protocol import Cuts
from recsys.qilin.source import largest
from recsys.qilin.timeline import SEARCH_OFFSET, Log, log, observe, place

Block = dict[str, bytes]
READ = "read"  # what an engine that reads elsewhere adds: how many rows its readers left out


@dataclass(frozen=True)
class Facts:
    """What all partitions must agree on.

    Attributes:
        known: mask of the notes that exist; clicks on others are left out. Items have as many numbers.
        cuts: when validation and test begin.
        frequent: items with at least `min_count` training clicks; None if every item is kept.
        twice: rows that repeat the id of another (file, row).
    """

    known: np.ndarray
    cuts: Cuts
    frequent: frozenset[int] | None = None
    twice: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True)
class Survey:
    """What a first look at some users finds.

    Attributes:
        starts: numbers `n` of recommendation requests by config and timestamp.
        clock: intervals of offsets of the search clock, as `clock.evidence` finds them.
        ids: channel and index of every request.
        shown: number of exposures and window entries; `unknown`: of those on notes that do not exist.
        highest: largest note number met.
        example: file, row and note of the first one that does not exist.
        problems: what was wrong with rows.
    """

    starts: pl.DataFrame
    clock: pl.DataFrame
    ids: pl.DataFrame
    shown: int
    unknown: int
    highest: int
    example: tuple[str, int, int] | None
    problems: dict[str, int] = field(default_factory=dict)


def survey(rows: pl.DataFrame, options: Options, known: np.ndarray) -> Block:
    """A `Survey` of the users in `rows`, in `timeline.ROWS` form; `known` is a mask of the notes that exist."""
    problems = Problems(skip=options.on_error == "skip")
    observed = observe(rows, problems, search_offset(options))
    placed = place(*observed, options.clocks)
    recommended = placed.filter(source="rec")
    notes = [observed[1]["note_idx"], placed["window"].explode(empty_as_null=False)]
    strange = [~exist(each, known) for each in notes]
    example = _first(*observed, placed, known) if any(each.any() for each in strange) else None
    made = Survey(
        starts=recommended.group_by("config", "timestamp").agg(n=pl.len()),
        clock=_evidence(*observed, search_offset(options)),
        ids=rows.select(channel=pl.col("config").str.starts_with("rec"), index="index"),
        shown=sum(map(len, notes)),
        unknown=sum(int(each.sum()) for each in strange),
        highest=max(map(largest, notes)),
        example=example,
        problems=problems.counts,
    )
    return {"survey": pickle.dumps(made)}


def merged(blocks: Iterable[Block]) -> Survey:
    """The survey of all users."""
    received = list(blocks)
    parts: list[Survey] = [pickle.loads(block["survey"]) for block in received]
    read = [pickle.loads(block[READ]) for block in received if READ in block]
    starts = pl.concat(part.starts for part in parts).group_by("config", "timestamp").agg(pl.col("n").sum())
    return Survey(
        starts=starts,
        clock=pl.concat(part.clock for part in parts),
        ids=pl.concat(part.ids for part in parts),
        shown=sum(part.shown for part in parts),
        unknown=sum(part.unknown for part in parts),
        highest=max((part.highest for part in parts), default=0),
        example=min((part.example for part in parts if part.example), default=None),
        problems=added([*(part.problems for part in parts), *read]),
    )


def item_counts(rows: pl.DataFrame, options: Options, facts: Facts) -> Block:
    """Training clicks of each item: what `min_count` is about."""
    requests, exposures, _ = _renumbered(rows, options, facts)
    events = tables.deduplicated(tables.interactions(requests, exposures), options.dedup)
    counted = events.filter(split="train").group_by("item_id").agg(n=pl.len())
    return {"items": pickle.dumps(counted)}


def frequent(blocks: Iterable[Block], min_count: int) -> frozenset[int]:
    """Items with at least `min_count` training clicks."""
    counted = pl.concat(pickle.loads(block["items"]) for block in blocks).group_by("item_id").agg(pl.col("n").sum())
    return frozenset(counted.filter(pl.col("n") >= min_count)["item_id"].to_list())


def convert(rows: pl.DataFrame, options: Options, facts: Facts) -> Block:
    """The lines of `.inter`, `.request` and `.search` for the users in `rows`, their queries, and counts."""
    requests, exposures, counts = _renumbered(rows, options, facts)
    events = tables.interactions(requests, exposures)
    once = tables.deduplicated(events, options.dedup)
    kept = once if facts.frequent is None else once.filter(pl.col("item_id").is_in(list(facts.frequent)))
    asked = tables.recommendation_requests(requests, exposures)
    searched = tables.searches(requests, exposures)
    counts |= {
        "own_clicks_in_window": _own_clicks(requests, exposures),
        "requests_left_out_by_the_split": requests.filter((pl.col("source") == "rec") & ~pl.col("target")).height,
        "repeated_clicks_left_out": events.height - once.height,
        "clicks_on_rare_items_left_out": once.height - kept.height,
    }
    return {
        "inter": atomic.lines(kept, tables.TYPES["inter"]),
        "request": atomic.lines(asked, tables.TYPES["request"]),
        "search": atomic.lines(searched, tables.TYPES["search"]),
        "queries": pickle.dumps(tables.queries(searched)),
        "counts": pickle.dumps(counts),
    }


def added(counts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Nested counts, summed; keys in the order of their names."""
    total: dict[str, Any] = {}
    for count in counts:
        for name, value in count.items():
            total[name] = added([total.get(name, {}), value]) if isinstance(value, dict) else total.get(name, 0) + value
    return dict(sorted(total.items()))


def _renumbered(
    rows: pl.DataFrame, options: Options, facts: Facts
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    """Requests with their splits, exposures, both with items instead of notes, and counts."""
    if facts.twice:
        pair = pl.struct("file", "row")
        twice = [{"file": file, "row": row} for file, row in facts.twice]
        rows = rows.filter(~pair.is_in(twice))
    found = _known(log(*observe(rows, Problems(skip=True), search_offset(options)), options.clocks), facts.known)
    item = numbers(len(facts.known), options.seed)
    requests = found.requests.with_columns(renumbered(found.requests["window"], item))
    exposures = found.exposures.with_columns(item_id=renumbered(found.exposures["note_idx"], item)).drop("note_idx")
    return protocol.assign(requests, options.split, facts.cuts), exposures, dict(found.counts)


def _known(found: Log, known: np.ndarray) -> Log:
    """The log without notes that do not exist, and without requests that then showed nothing."""
    window = found.requests.select("request", note_idx="window").explode("note_idx", empty_as_null=False)
    if exist(window["note_idx"], known).all() and exist(found.exposures["note_idx"], known).all():
        return found
    exposures = found.exposures.filter(exist(found.exposures["note_idx"], known))
    window = window.filter(exist(window["note_idx"], known))
    windows = window.group_by("request", maintain_order=True).agg(window="note_idx")
    requests = found.requests.join(
        exposures.select("request").unique(), on="request", how="semi", maintain_order="left"
    )
    requests = requests.drop("window").join(windows, on="request", how="left", maintain_order="left")
    return Log(requests.with_columns(pl.col("window").fill_null([])), exposures, found.counts)


def _evidence(requests: pl.DataFrame, shown: pl.DataFrame, offset: int) -> pl.DataFrame:
    """Evidence on the offset, from times as they were logged."""
    logged = pl.col("timestamp") + pl.when(pl.col("source") == "rec").then(0).otherwise(offset)
    clicks = shown.filter("clicked").group_by("request", "note_idx").agg(pl.col("timestamp").min())
    clicks = clicks.join(requests.select("request", "user_idx", "source"), on="request")
    return clock.evidence(
        requests.select("user_idx", "window", channel="source", timestamp=logged),
        clicks.select("user_idx", "note_idx", channel="source", timestamp=logged),
    )


def _own_clicks(requests: pl.DataFrame, exposures: pl.DataFrame) -> dict[str, int]:
    """Clicked items that stood in the window of their own request, by source."""
    clicks = exposures.filter("clicked").join(requests.select("request", "source", "window"), on="request")
    met = clicks.filter(pl.col("item_id").is_in("window"))
    return dict(met["source"].value_counts().sort("source").iter_rows())


def _first(
    requests: pl.DataFrame, shown: pl.DataFrame, placed: pl.DataFrame, known: np.ndarray
) -> tuple[str, int, int]:
    """File, row and note of the first one that does not exist."""
    window = placed.select("request", note_idx="window").explode("note_idx", empty_as_null=False)
    notes = pl.concat([shown.select("request", "note_idx"), window])
    strange = notes.filter(~exist(notes["note_idx"], known))
    found = strange.join(requests.select("request", "file", "row"), on="request").select("file", "row", "note_idx")
    return found.sort("file", "row", "note_idx").row(0)


def search_offset(options: Options) -> int:
    """Seconds by which search clocks are taken to be ahead."""
    return SEARCH_OFFSET if options.search_offset is None else options.search_offset
