"""Qilin's parquet files → a folder of atomic files: look at all users, settle what they share, write all or nothing."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from recsys import atomic
from recsys.atomic.problems import Problems
from recsys.errors import InputError
from recsys.qilin import holdings, hub, items, partition, protocol, source, writing
from recsys.qilin.clock import calibrate
from recsys.qilin.engines import Engine, local
from recsys.qilin.folder import Folder
from recsys.qilin.holdings import Holdings
from recsys.qilin.options import Options
from recsys.qilin.schema import SYNTHETIC
from recsys.qilin.settle import known_notes, settle
from recsys.qilin.timeline import CHANNELS, DAY, GRACE, ORIGIN

PARTITION = 50_000  # requests in a partition, about

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
    atomic.require_own(output, folder)
    files = source.locate(folder)
    written = Folder(output, files, options)
    if (meta := written.unchanged()) is not None:
        return meta
    with atomic.replaced(output) as new:
        scratch = new / "rows"
        scratch.mkdir()
        run = _Run(name, folder, files, options, Problems(skip=options.on_error == "skip"), progress)
        bounds = _bounds(files, partitions)
        if engine == "local":
            work: Engine = local.engine(files, bounds, run.problems, scratch, progress)
        else:
            work = import_module(f"recsys.qilin.engines.{engine}").engine(files, bounds, run.problems.skip)
        meta, held = run.write(work, new, written.stem)
        shutil.rmtree(scratch)
        return written.finish(new, meta, held)


@dataclass(frozen=True)
class _Run:
    """One conversion: of a folder, known by a name, its files, options, and who is told of problems and progress."""

    name: str
    folder: Path
    files: dict[str, list[Path]]
    options: Options
    problems: Problems
    progress: Progress

    def write(self, engine: Engine, new: Path, stem: str) -> tuple[dict[str, Any], Holdings]:
        """Write the data files into `new`; return what there is to say about them, and what they hold."""
        files, options = self.files, self.options
        self.progress("counting notes")
        known = known_notes(files["notes"], self.problems)
        self.progress("looking at all users")
        survey = partition.merged(engine(partial(partition.survey, options=options, known=known)))
        calibration = calibrate(survey.clock)
        if calibration.verdict == "contradicted" and options.search_offset is None:
            raise InputError(f"{self.folder}: {calibration.sentence()}")
        facts = settle(survey, files, options, known, self.problems)
        if options.min_count > 1:
            self.progress("counting clicks on items")
            counted = engine(partial(partition.item_counts, options=options, facts=facts))
            facts = replace(facts, frequent=partition.frequent(counted, options.min_count))
        item = items.numbers(len(facts.known), options.seed)
        with ThreadPoolExecutor(1) as beside:  # notes and users have nothing to do with each other
            notes = beside.submit(
                writing.notes, new / f"{stem}.item", files["notes"], item, self.problems, self.progress
            )
            self.progress("writing clicks, requests and searches")
            counts = writing.users(new, stem, engine(partial(partition.convert, options=options, facts=facts)))
            notes.result()
        if "user_feat" in files:
            self.progress("writing users")
            writing.features(new / f"{stem}.user", files["user_feat"], self.problems)
        self.progress("describing what was written")
        held = Holdings.read(new, stem)
        clicked = atomic.read(new / f"{stem}.inter", ["item_id"])["item_id"].unique().cast(pl.Int64)
        counts |= holdings.counts(held, clicked.to_numpy(), item[np.flatnonzero(known)])
        protocol.require_all(counts["requests"])
        meta = {
            "source": self.name,
            "synthetic": _synthetic(self.folder),
            "time_origin": ORIGIN,
            "time_unit": "s",
            "search_offset": partition.search_offset(options),
            "clock": {"verdict": calibration.verdict, "evidence": calibration.sentence()},
            "day": [0, DAY + GRACE],
            "item_numbers": len(facts.known),
            "split": {"valid_start": facts.cuts.valid, "test_start": facts.cuts.test},
            "counts": {**counts, "bad_rows_left_out": partition.added([self.problems.counts, survey.problems])},
        }
        return meta, held


def _found(origin: Path | str, progress: Progress) -> tuple[Path, str]:
    """A folder on this machine, and what it is called."""
    if not str(origin).startswith(hub.PREFIX):
        return Path(origin), Path(origin).absolute().name
    folder, commit = hub.fetch(str(origin), progress)
    return folder, f"{str(origin).partition('@')[0]}@{commit}"


def _bounds(files: dict[str, list[Path]], partitions: int | None) -> list[int]:
    """User numbers at which partitions begin, and the end of the last."""
    paths = [path for config in CHANNELS for path in files.get(config, [])]
    users = pl.concat(source.numbers(path, "user_idx") for path in paths)["user_idx"]
    wanted = partitions or -(-len(users) // PARTITION)
    return sorted({0, *(round(edge) for edge in np.linspace(0, source.largest(users) + 1, wanted + 1))})


def _synthetic(folder: Path) -> dict[str, Any] | None:
    path = folder / SYNTHETIC
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
