"""A seeded Qilin in the release's exact parquet schema, quirks included, for machines without the real one."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import InputError
from recsys.files import atomic_folder
from recsys.qilin.schema import SCHEMAS, SYNTHETIC
from recsys.qilin.synthetic import features, learnable, log, numbers, oracle, published, tables
from recsys.qilin.synthetic.learnable_oracle import LearnableKnowledge
from recsys.qilin.synthetic.log import Day, Ragged, Streams
from recsys.qilin.synthetic.oracle import Knowledge
from recsys.qilin.synthetic.published_oracle import PublishedKnowledge

ORACLE = "oracle.json"  # beside SYNTHETIC: what a ranker that knows the world reaches, with the searches and without


def synthesize(
    output: Path,
    *,
    users: int = 1000,
    scale: float | None = None,
    seed: int = 0,
    influence: float = 0.6,
    clicks_per_note: float | None = None,
    leaky_ids: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write a synthetic Qilin to the folder `output`, and return how well it can be ranked (see `oracle.summary`).

    The same arguments draw the same values on every machine with the same NumPy, and write the same bytes with the same
    PyArrow, which puts its version into the files.

    Args:
        output: folder to write, all or nothing; an earlier synthetic Qilin in it is replaced.
        users: size of the learnable world, at least 20; each sends about 8 recommendation requests and 5 searches.
        scale: instead of `users`: a world with Qilin's published statistics, of so much of its size, 0.001 to 1.
        seed: of everything random.
        influence: probability that a click made soon after a search is on the searched topic; 0 is the control, with
            the same searches and no effect of them.
        clicks_per_note: mean clicks of a recommended note in the learnable world, at least 1; about 80 by default, in
            Qilin 2.
        leaky_ids: number the notes in blocks by what happened to them, as the release does, instead of at random.
        progress: called with a short line before each step.

    Raises:
        InputError: an argument out of range, or an `output` that holds something else.
    """
    output = Path(output)
    if users < 20:
        raise InputError(f"users is {users}; it should be at least 20.")
    if scale is not None and not 0.001 <= scale <= 1:
        raise InputError(f"scale is {scale}; it should lie between 0.001 and 1.")
    if clicks_per_note is not None and scale is not None:
        raise InputError("clicks_per_note is of the learnable world; the published one has Qilin's own, with `scale`.")
    if clicks_per_note is not None and not 1 <= clicks_per_note <= 100:
        raise InputError(f"clicks_per_note is {clicks_per_note}; it should lie between 1 and 100.")
    if not 0 <= influence <= 1:
        raise InputError(f"influence is {influence}; it should lie between 0 and 1.")
    if seed < 0:
        raise InputError(f"seed is {seed}; it should be 0 or more.")
    if output.exists() and not (output.is_dir() and (not any(output.iterdir()) or (output / SYNTHETIC).is_file())):
        raise InputError(f"{output}: holds something other than a synthetic Qilin; name another folder.")
    streams = Streams.of(seed)
    made: dict[str, Any] = {"users": users} if scale is None else {"scale": scale}
    made |= {"seed": seed, "influence": influence} | ({"leaky_ids": True} if leaky_ids else {})
    made |= {} if clicks_per_note is None else {"clicks_per_note": clicks_per_note}
    with atomic_folder(output) as folder:
        day, knows = _draw(users, scale, influence, clicks_per_note, streams, progress)
        progress("ranking the test requests by what is known of this world")
        reached = oracle.measure(knows, day.rec.shown, np.flatnonzero(day.latest))
        del knows
        _write(day, streams, leaky_ids, folder, progress)
        (folder / SYNTHETIC).write_text(json.dumps(made) + "\n", encoding="utf-8")
        (folder / ORACLE).write_text(json.dumps(reached, indent=2) + "\n", encoding="utf-8")
    return reached


def _draw(
    users: int,
    scale: float | None,
    influence: float,
    clicks_per_note: float | None,
    streams: Streams,
    progress: Callable[[str], None],
) -> tuple[Day, Knowledge]:
    if scale is None:
        progress(f"drawing {users} users and their day")
        small, world = learnable.day(users, influence, streams, clicks_per_note)
        return small, LearnableKnowledge(world, influence)
    progress(f"drawing {scale:g} of Qilin's users and their day")
    day, drawn = published.day(scale, influence, streams)
    return day, PublishedKnowledge(drawn, influence)


def _write(day: Day, streams: Streams, leaky_ids: bool, folder: Path, progress: Callable[[str], None]) -> None:
    number = streams.shuffle.permutation(len(day.topic))
    windows = [log.windows(channel.requests, day.clicks, streams.lost) for channel in (day.rec, day.search)]
    if leaky_ids:
        number = numbers.in_blocks(day, windows, number)
    for config, table in _requests(day, windows, streams, number):
        progress(f"writing {config}")
        (folder / config).mkdir()
        pq.write_table(table, folder / config / "train-00000-of-00001.parquet")
    progress("writing user_feat")
    (folder / "user_feat").mkdir()
    pq.write_table(features.users(day, streams.people), folder / "user_feat" / "train-00000-of-00001.parquet")
    (folder / "notes").mkdir()
    for shard, pieces in enumerate(features.notes(day, number, streams.texts)):
        progress(f"writing notes, file {shard + 1} of {day.profile.shards}")
        path = folder / "notes" / f"train-{shard:05d}-of-{day.profile.shards:05d}.parquet"
        with pq.ParquetWriter(path, SCHEMAS["notes"]) as writer:
            for piece in pieces:
                writer.write_table(piece)


def _requests(
    day: Day, windows: Sequence[Ragged], streams: Streams, number: np.ndarray
) -> Iterator[tuple[str, pa.Table]]:
    yield from tables.recommendation(day, windows[0], number, streams.rec)
    yield from tables.search(day, windows[1], number, streams.search)
