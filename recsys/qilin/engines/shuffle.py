"""What travels between the tasks of an engine that spans machines: bytes, whatever they hold.

A *reader* turns one file into a parcel for each partition of users; a *worker* turns all parcels of a partition into
its block. Bad input becomes a parcel too, and so reaches whoever started the conversion as the sentence that it is.
"""

import pickle
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl

from recsys.atomic.problems import Problems
from recsys.errors import InputError
from recsys.qilin.engines import Work
from recsys.qilin.partition import READ, Block, added
from recsys.qilin.source import read
from recsys.qilin.timeline import CHANNELS, ROWS, unified

FAILED = "failed"


def tasks(files: dict[str, list[Path]]) -> list[tuple[str, str]]:
    """Configuration and path of every file to read; workers must see it under the same path."""
    return [(config, str(path.absolute())) for config in CHANNELS for path in files.get(config, [])]


def parcels(task: tuple[str, str], bounds: list[int], skip: bool) -> list[bytes]:
    """One parcel for each partition of users, the users `bounds[i]` to `bounds[i + 1] - 1`."""
    config, path = task
    count, problems = len(bounds) - 1, Problems(skip=skip)
    try:
        rows = unified(read(config, Path(path), problems), config)
    except InputError as error:
        return [pickle.dumps((str(error), {}, b""))] * count
    part = np.searchsorted(bounds, rows["user_idx"].to_numpy(), side="right") - 1
    return [
        pickle.dumps((None, problems.counts if number == 0 else {}, _packed(rows.filter(pl.Series(part == number)))))
        for number in range(count)
    ]


def block(received: Iterable[bytes], work: Work) -> Block:
    """The block of a partition; its key `FAILED` says that something was wrong with the input."""
    opened = [pickle.loads(parcel) for parcel in received]
    for failure, _, _ in opened:
        if failure is not None:
            return {FAILED: failure.encode()}
    rows = pl.concat([pl.DataFrame(schema=ROWS), *(pl.read_ipc(BytesIO(packed)) for *_, packed in opened)])
    try:
        return {**work(rows), READ: pickle.dumps(added(counts for _, counts, _ in opened))}
    except InputError as error:
        return {FAILED: str(error).encode()}


def opened(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks, for the one who asked.

    Raises:
        InputError: what a reader or a worker found wrong.
    """
    for each in blocks:
        if FAILED in each:
            raise InputError(each[FAILED].decode())
        yield each


def _packed(rows: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    rows.write_ipc(buffer, compression="zstd")
    return buffer.getvalue()
