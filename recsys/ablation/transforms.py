"""What the controls change of a data set: its searches, or the clicks on their results; all else stays as it is."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from recsys import atomic
from recsys.files import atomic_folder


@dataclass(frozen=True)
class Log:
    """The two files of a data set that the controls change."""

    inter: pl.DataFrame
    search: pl.DataFrame


Transform = Callable[[Log, int], Log]
"""Another log of the same data set, by a seed."""


def blank(log: Log, seed: int) -> Log:
    """Nobody has searched."""
    return replace(log, search=log.search.clear())


def permuted(log: Log, seed: int) -> Log:
    """Each search is at its time what some search of the same split was: who asks what is chance."""
    what = ["query_id", "query_from_type"]
    rng, order = np.random.default_rng(seed), np.arange(len(log.search))
    for split in log.search["split"].unique(maintain_order=True):
        rows = np.flatnonzero((log.search["split"] == split).to_numpy())
        order[rows] = rng.permutation(rows)
    return replace(log, search=log.search.with_columns(log.search[order].select(what)))


def constant(log: Log, seed: int) -> Log:
    """Everybody asks one thing, at the same times and in the same ways as before."""
    return replace(log, search=log.search.with_columns(query_id=pl.lit(log.search["query_id"].max())))


def late(log: Log, seed: int) -> Log:
    """A search arrives with its user's next click on a recommendation, as if visibility ended at the last click.

    What nobody clicks after, nobody sees.
    """
    clicks = _feed(log.inter).select("user_id", pl.col("timestamp").alias("arrived")).sort("arrived")
    arrived = (
        log.search.with_row_index()
        .sort("timestamp")
        .join_asof(
            clicks,
            left_on="timestamp",
            right_on="arrived",
            by="user_id",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .drop_nulls("arrived")
        .sort("index")
    )
    return replace(log, search=arrived.with_columns(timestamp="arrived").select(log.search.columns))


def feed_only(log: Log, seed: int) -> Log:
    """Clicks on search results are no part of any history."""
    return replace(log, inter=_feed(log.inter))


def _feed(inter: pl.DataFrame) -> pl.DataFrame:
    return inter.filter(pl.col("source") != "search") if "source" in inter.columns else inter


def has_search_clicks(folder: Path) -> bool:
    """Whether clicks on search results stand among the others, and can be told from them."""
    file = _file(folder, "inter")
    if "source" not in atomic.read_header(file):
        return False
    return bool((atomic.read(file, ["source"])["source"] == "search").any())


def transformed(source: Path, output: Path, transform: Transform, seed: int) -> Path:
    """The data set `source` with another log, as the folder `output/<name of source>`; made once.

    Files that do not change are the same on disk where the file system allows it.
    """
    made = output / source.resolve().name
    if made.is_dir():
        return made
    names = {suffix: _file(source, suffix) for suffix in ("inter", "search")}
    before = Log(**{suffix: atomic.read(file) for suffix, file in names.items()})
    after = transform(before, seed)
    changed = {
        file: frame
        for suffix, file in names.items()
        if (frame := getattr(after, suffix)) is not getattr(before, suffix)
    }
    with atomic_folder(made) as folder:
        for file in sorted(source.iterdir()):
            if file in changed:
                atomic.write(changed[file], folder / file.name, atomic.read_header(file))
            elif file.is_file() and not file.name.endswith((".html", ".yaml")):  # which tell of the unchanged data
                _link(file, folder / file.name)
    return made


def _file(folder: Path, suffix: str) -> Path:
    return folder / f"{folder.resolve().name}.{suffix}"


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or a file system without links
        shutil.copy2(source, target)
