"""One partition after another in this process: memory is that of the largest file or partition."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl

from recsys.atomic.problems import Problems
from recsys.qilin.engines import Engine, Work
from recsys.qilin.partition import Block
from recsys.qilin.source import read
from recsys.qilin.timeline import CHANNELS, ROWS, unified


def engine(
    files: dict[str, list[Path]],
    bounds: list[int],
    problems: Problems,
    scratch: Path,
    progress: Callable[[str], None],
) -> Engine:
    """Parts the rows of every file by their users, the users `bounds[i]` to `bounds[i + 1] - 1`, into `scratch`.

    Args:
        files: the files of each configuration.
        bounds: user numbers, rising.
        problems: told of rows that cannot be used.
        scratch: a folder for what is read; about as large as the columns that are needed.
        progress: called with a short line before each file and partition.
    """
    count = len(bounds) - 1
    for config in CHANNELS:
        for number, path in enumerate(files.get(config, [])):
            progress(f"reading {config}/{path.name}")
            rows = unified(read(config, path, problems), config)
            for part, users in enumerate(pairwise(bounds)):
                mine = rows.filter(pl.col("user_idx").is_between(*users, closed="left")) if count > 1 else rows
                mine.write_ipc(scratch / f"{part}-{config}-{number}.arrow")

    def run(work: Work) -> Iterator[Block]:
        for part, (first, end) in enumerate(pairwise(bounds)):
            if count > 1:
                progress(f"users {first:,} to {end - 1:,}, partition {part + 1} of {count}")
            parts = [pl.read_ipc(path) for path in sorted(scratch.glob(f"{part}-*.arrow"))]
            yield work(pl.concat([pl.DataFrame(schema=ROWS), *parts]))

    return run
