"""Qilin's parquet files → a folder of atomic files: look at all users, settle what they share, write all or nothing."""

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from recsys import atomic
from recsys.errors import InputError
from recsys.qilin import hub, items, partition, protocol, source, tables
from recsys.qilin.clock import calibrate
from recsys.qilin.engines import Engine, local
from recsys.qilin.folder import Folder, require_own
from recsys.qilin.options import Options
from recsys.qilin.partition import Block, Facts, Survey
from recsys.qilin.problems import Problems
from recsys.qilin.schema import SYNTHETIC
from recsys.qilin.timeline import CHANNELS, DAY, GRACE, ORIGIN, SEARCH_OFFSET

PARTITION = 100_000  # requests in a partition, about
BUCKET = 500_000  # notes in memory at once
LARGEST = 200_000_000  # note numbers beyond this are no numbers of notes
EXCERPT = 0.5  # a share of unknown notes above this means that `notes` is an excerpt, not that clicks are wrong

Progress = Callable[[str], None]
EngineName = Literal["local", "ray", "spark"]


def convert(
    origin: Path | str,
    output: Path,
    options: Options = Options(),  # noqa: B008 (frozen)
    *,
    engine: EngineName = "local",
    partitions: int | None = None,
    progress: Progress = lambda _: None,
) -> dict[str, Any]:
    """Convert the Qilin at `origin` to the atomic files `output/<output's name>.*`; return their meta.

    An earlier conversion in `output` is replaced, unless it is of the same files with the same options: then nothing is
    done. `origin` is only read. Any order of rows, any number of partitions and every engine gives the same files.

    Args:
        origin: a folder that holds `<configuration>/*.parquet` or `data/<configuration>/*.parquet`, or a data set on
            the Hugging Face Hub, `hf://owner/name[@revision]`.
        output: folder to write, all or nothing.
        options: choices that change what is written.
        engine: what runs the work on users: this process, or Ray or Spark, on as many machines as they have.
        partitions: number of parts in which users are gone through; memory shrinks with it.
        progress: called with a short line before each step.

    Raises:
        InputError: input that is not Qilin, an empty split, or an `output` that holds something else or cannot be
            written.
    """
    folder, name = _found(origin, progress)
    output = Path(output)
    require_own(output, folder)
    files = source.locate(folder)
    written = Folder(output, files, options)
    if (meta := written.unchanged()) is not None:
        return meta
    problems = Problems(skip=options.on_error == "skip")
    known = _known_notes(files["notes"], problems, progress)
    run = _engine(engine, files, _bounds(files, partitions), progress)

    progress("looking at all users")
    survey = partition.merged(run(partial(partition.survey, options=options, known=known), problems))
    calibration = calibrate(survey.clock)
    if calibration.verdict == "contradicted" and options.search_offset is None:
        raise InputError(f"{folder}: {calibration.sentence()}")
    seen = Problems(skip=True)  # bad rows have been refused or counted by now
    facts = settle(survey, files, options, known, problems)
    if options.min_count > 1:
        progress("counting clicks on items")
        counted = run(partial(partition.item_counts, options=options, facts=facts), seen)
        facts = replace(facts, frequent=partition.frequent(counted, options.min_count))
    with written.replaced() as (new, stem):
        progress("writing clicks, requests and searches")
        counts = _write_users(new, stem, run(partial(partition.convert, options=options, facts=facts), seen))
        _write_items(new / f"{stem}.item", files["notes"], facts, options, problems, progress)
        if "user_feat" in files:
            features = pl.concat(source.read("user_feat", path, problems) for path in files["user_feat"])
            repeats = ~pl.col("user_idx").is_first_distinct()
            features = problems.rows(features, repeats, "user twice", "its user_idx occurs before.")
            atomic.write(tables.users(features), new / f"{stem}.user", tables.TYPES["user"])
        counts |= _counted(new, stem)
        protocol.require_all(counts["requests"])
        progress("describing what was written")
        return written.finish(
            new,
            {
                "source": name,
                "synthetic": _synthetic(folder),
                "time_origin": ORIGIN,
                "time_unit": "s",
                "search_offset": SEARCH_OFFSET if options.search_offset is None else options.search_offset,
                "clock": {"verdict": calibration.verdict, "evidence": calibration.sentence()},
                "day": [0, DAY + GRACE],
                "item_numbers": len(facts.known),
                "split": {"valid_start": facts.cuts.valid, "test_start": facts.cuts.test},
                "counts": {**counts, "bad_rows_left_out": partition.added([problems.counts, survey.problems])},
            },
        )


def _found(origin: Path | str, progress: Progress) -> tuple[Path, str]:
    """A folder on this machine, and what it is called."""
    if not str(origin).startswith(hub.PREFIX):
        return Path(origin), Path(origin).absolute().name
    folder, commit = hub.fetch(str(origin), progress)
    return folder, f"{str(origin).partition('@')[0]}@{commit}"


def settle(
    survey: Survey, files: dict[str, list[Path]], options: Options, known: np.ndarray, problems: Problems
) -> Facts:
    """What all partitions must agree on.

    Raises:
        InputError: an id that occurs twice, notes that do not exist, or nothing to train on.
    """
    twice = frozenset(_repeated_requests(survey.ids, files, problems))
    if survey.unknown > EXCERPT * survey.shown:
        if survey.highest >= LARGEST:
            raise InputError(f"note_idx {survey.highest} is no number of a note; Qilin has about two million of them.")
        known = np.ones(max(len(known), survey.highest + 1), bool)
    elif survey.example is not None:
        file, row, note = survey.example
        sentence = f"{file}: row {row} (from 0): note_idx {note} is none of the {known.sum():,} notes."
        problems.found(sentence, "unknown note", survey.unknown)
    cuts = protocol.cuts(survey.starts, options.split, options.valid_fraction, options.test_fraction)
    return Facts(known, cuts, twice=twice)


def _engine(name: EngineName, files: dict[str, list[Path]], bounds: list[int], progress: Progress) -> Engine:
    if name == "local":
        return local.engine(files, bounds, progress)
    made: Engine = import_module(f"recsys.qilin.engines.{name}").engine(files, bounds)
    return made


def _bounds(files: dict[str, list[Path]], partitions: int | None) -> list[int]:
    """User numbers at which partitions begin, and the end of the last."""
    paths = [path for config in CHANNELS for path in files.get(config, [])]
    users = pl.concat(source.numbers(path, "user_idx") for path in paths)["user_idx"]
    wanted = partitions or -(-len(users) // PARTITION)
    return sorted({0, *(round(edge) for edge in np.linspace(0, _largest(users) + 1, wanted + 1))})


def _largest(numbers: pl.Series) -> int:
    return max(int(numbers.max() or 0), 0)  # type: ignore[arg-type]


def _known_notes(paths: list[Path], problems: Problems, progress: Progress) -> np.ndarray:
    """Mask of the note_idx of `notes`; that none occurs twice is checked."""
    progress("counting notes")
    notes = pl.concat(source.numbers(path, "note_idx") for path in paths)
    notes = notes.filter(pl.col("note_idx") >= 0)  # a note without a number is met again, and named, where it is read
    notes = problems.rows(notes, ~pl.col("note_idx").is_first_distinct(), "note twice", "its note_idx occurs before.")
    if _largest(notes["note_idx"]) >= LARGEST:
        raise InputError(f"note_idx {_largest(notes['note_idx'])} is no number of a note; Qilin has about two million.")
    known: np.ndarray = np.zeros(_largest(notes["note_idx"]) + 1, bool)
    known[notes["note_idx"].to_numpy()] = True
    return known


def _repeated_requests(
    ids: pl.DataFrame, files: dict[str, list[Path]], problems: Problems
) -> Iterator[tuple[str, int]]:
    """Rows whose request_idx or search_idx occurs in an earlier row."""
    for (recommended, index), _ in ids.filter(pl.struct("channel", "index").is_duplicated()).group_by(
        "channel", "index"
    ):
        name = "request_idx" if recommended else "search_idx"
        configs = [config for config, channel in CHANNELS.items() if channel.index == name]
        paths = [path for config in configs for path in files.get(config, [])]
        found = [(str(path), row) for path in paths for row in _rows_with(path, name, index)]
        for file, row in found[1:]:
            sentence = (
                f"{file}: row {row} (from 0): {name} {index} occurs before, in row {found[0][1]} of {found[0][0]}."
            )
            problems.found(sentence, "request twice")
            yield file, row


def _rows_with(path: Path, name: str, value: Any) -> list[int]:
    numbers = source.numbers(path, name)
    return numbers.filter(pl.col(name) == value)["row"].to_list()


def _write_users(folder: Path, stem: str, blocks: Iterator[Block]) -> dict[str, Any]:
    """`.inter`, `.request`, `.search` and `.query` from the blocks of all users; what they counted."""
    kinds = ("inter", "request", "search")
    counts: list[dict[str, Any]] = []
    queries: list[pl.DataFrame] = []
    for kind in kinds:
        (folder / f"{stem}.{kind}").write_bytes(atomic.header(tables.TYPES[kind]))
    for block in blocks:
        for kind in kinds:
            with (folder / f"{stem}.{kind}").open("ab") as file:
                file.write(block[kind])
        counts.append(pickle.loads(block["counts"]))
        queries.append(pickle.loads(block["queries"]))
    distinct = pl.concat(queries).unique("query_id").sort("query_id")
    atomic.write(distinct, folder / f"{stem}.query", tables.TYPES["query"])
    return partition.added(counts)


def _write_items(
    path: Path, notes: list[Path], facts: Facts, options: Options, problems: Problems, progress: Progress
) -> None:
    """`.item`, sorted by item; notes are read as often as it takes to hold `BUCKET` of them at once."""
    item = items.numbers(len(facts.known), options.seed)

    def buckets() -> Iterator[pl.DataFrame]:
        edges = range(0, len(facts.known), BUCKET)
        for number, first in enumerate(edges):
            progress(f"writing notes, part {number + 1} of {len(edges)}")
            told = problems if first == 0 else Problems(skip=True)
            pieces = (piece for file in notes for piece in source.notes(file, told))
            inside = [piece.filter(_within(item[piece["note_idx"].to_numpy()], first)) for piece in pieces]
            yield tables.items(pl.concat(inside).unique("note_idx", keep="first", maintain_order=True), item)

    atomic.write(buckets(), path, tables.TYPES["item"])


def _within(item: np.ndarray, first: int) -> pl.Series:
    return pl.Series((item >= first) & (item < first + BUCKET))


def _counted(folder: Path, stem: str) -> dict[str, Any]:
    """What the written files hold."""
    events = atomic.read(folder / f"{stem}.inter", ["user_id", "item_id", "source", "split"])
    searches = atomic.read(folder / f"{stem}.search", ["clicked", "split"])
    notes = atomic.read(folder / f"{stem}.item", ["item_id"])["item_id"]
    return {
        "events": _tally(events["source"]),
        "users": _distinct(events, "user_id"),
        "items": _distinct(events, "item_id"),
        "requests": _tally(atomic.read(folder / f"{stem}.request", ["split"])["split"]),
        "searches": _tally(searches["split"]),
        "searches_without_click": searches.filter(pl.col("clicked").list.len() == 0).height,
        "queries": atomic.read(folder / f"{stem}.query", ["query_id"]).height,
        "notes": len(notes),
        "items_without_note": events.select("item_id").unique().join(notes.to_frame(), on="item_id", how="anti").height,
    }


def _tally(values: pl.Series) -> dict[str, int]:
    return dict(values.value_counts().sort(values.name).iter_rows())


def _distinct(events: pl.DataFrame, column: str) -> dict[str, int]:
    per_split = events.group_by("split").agg(pl.col(column).n_unique()).sort("split")
    return {"all": events[column].n_unique(), **dict(per_split.iter_rows())}


def _synthetic(folder: Path) -> dict[str, Any] | None:
    path = folder / SYNTHETIC
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
