"""One partition after another in this process: memory is that of the largest partition."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl

from recsys.qilin.engines import Engine, Work
from recsys.qilin.partition import Block
from recsys.qilin.problems import Problems
from recsys.qilin.source import read
from recsys.qilin.timeline import CHANNELS, ROWS, unified


def engine(
    files: dict[str, list[Path]],
    bounds: list[int],
    progress: Callable[[str], None],
) -> Engine:
    """Reads the rows of the users `bounds[i]` to `bounds[i + 1] - 1` for each partition.

    Args:
        files: the files of each configuration.
        bounds: user numbers, rising.
        progress: called with a short line before each partition.
    """

    def run(work: Work, problems: Problems) -> Iterator[Block]:
        for part, users in enumerate(pairwise(bounds)):
            if len(bounds) > 2:
                progress(f"users {users[0]:,} to {users[1] - 1:,}, partition {part + 1} of {len(bounds) - 1}")
            found = [
                unified(read(config, path, problems, users), config)
                for config in CHANNELS
                for path in files.get(config, [])
            ]
            yield work(pl.concat([pl.DataFrame(schema=ROWS), *found]))

    return run
