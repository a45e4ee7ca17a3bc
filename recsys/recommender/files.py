"""A file of users into a file of recommendations: in bounded memory, and on from where it was when it is killed.

Users are answered in blocks. Each block becomes a file of its own, complete or not there at all, in a folder beside the
output; when all are there, they are put together. A run that finds such a folder takes over the blocks in it if they
answer the same question: the same input, checkpoint and options.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from pyarrow import ArrowException

from recsys.errors import InputError
from recsys.files import atomic_file, sha256
from recsys.recommender.frames import COLUMNS, Asked, answered, asked_of
from recsys.recommender.questions import Unknown
from recsys.recommender.recommender import Recommender

BLOCK = 4096
"""Users in a block: what is lost at most, and all that is held in memory at once."""


def recommend_file(
    model: Recommender,
    source: Path,
    target: Path,
    k: int = 10,
    exclude_seen: bool = True,
    unknown: Unknown = "drop",
    progress: Callable[[str], None] = lambda message: None,
) -> dict[str, int]:
    """Answer every user of a Parquet or JSONL file with the columns of `Recommender.recommend_frame`, in its order.

    `target` is Parquet, one row for each user and recommended item, and appears only when it is complete. What comes
    back counts `users`, those among them that are answered by `popularity`, and `unknown` ids.

    Raises:
        InputError: a file that cannot be read, named with the row; what `recommend` refuses.
    """
    if source.suffix not in _READERS:
        raise InputError(f"{source}: users come as .parquet or .jsonl.")
    if target.suffix != ".parquet":
        raise InputError(f"{target}: recommendations are written as .parquet.")
    if not source.is_file():
        raise InputError(f"{source}: no such file.")
    question = {
        "input": sha256(source),
        "model": model.fingerprint,
        "k": k,
        "exclude_seen": exclude_seen,
        "unknown": unknown,
        "block": BLOCK,
    }
    parts = target.with_name(f".{target.name}.parts")
    _begin(parts, question, progress)
    try:
        total = _answer(model, _READERS[source.suffix](source), parts, (k, exclude_seen, unknown), progress)
        if not total["users"]:
            raise InputError(f"{source}: no users in it.")
    except InputError:
        shutil.rmtree(parts)  # another input will be another question
        raise
    _join(sorted(parts.glob("*.parquet")), target)
    shutil.rmtree(parts)
    return total


def _begin(parts: Path, question: dict[str, Any], progress: Callable[[str], None]) -> None:
    """Have a folder for the blocks of this question, with those that are there already."""
    note, text = parts / "question", json.dumps(question, sort_keys=True)
    if note.is_file() and note.read_text("utf-8") == text:
        done = sum(json.loads(counts.read_text("utf-8"))["users"] for counts in parts.glob("*.json"))
        progress(f"going on behind {done:,} users who have been answered")
        return
    shutil.rmtree(parts, ignore_errors=True)
    with atomic_file(note) as temporary:
        temporary.write_text(text, "utf-8")


def _answer(
    model: Recommender,
    blocks: Iterator[Asked],
    parts: Path,
    options: tuple[int, bool, Unknown],
    progress: Callable[[str], None],
) -> dict[str, int]:
    """Write what is missing of the blocks; the sums of what all of them counted."""
    total = {"users": 0, "popularity": 0, "unknown": 0}
    began, fresh = perf_counter(), 0
    for number, asked in enumerate(blocks):
        part, counts = (parts / f"{number:06}.{kind}" for kind in ("parquet", "json"))
        if not counts.is_file():
            frame = answered(model, asked, *options, None)
            first = frame.filter(pl.col("rank") == 1)
            popular, unknown = (first["reason"] == "popularity").sum(), first["unknown"].sum()
            counted = {"users": len(asked.histories), "popularity": int(popular), "unknown": int(unknown)}
            with atomic_file(part) as temporary:
                frame.write_parquet(temporary)
            with atomic_file(counts) as temporary:
                temporary.write_text(json.dumps(counted), "utf-8")
            fresh += len(asked.histories)
        counted = json.loads(counts.read_text("utf-8"))
        total = {name: number + counted[name] for name, number in total.items()}
        if fresh:
            progress(f"{total['users']:,} users, {fresh / (perf_counter() - began):,.0f} a second")
    return total


def _join(parts: list[Path], target: Path) -> None:
    with atomic_file(target) as temporary, pq.ParquetWriter(temporary, pq.read_schema(parts[0])) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part))


def _parquet(path: Path) -> Iterator[Asked]:
    try:
        file = pq.ParquetFile(path)
        names = [name for name in file.schema_arrow.names if name in COLUMNS]
        first = 0
        for batch in file.iter_batches(BLOCK, columns=names if "history" in names else None):
            frame = pl.DataFrame(pl.from_arrow(batch))
            yield asked_of(frame, _namer(path, "row", first), first)
            first += len(frame)
    except ArrowException as error:
        raise InputError(f"{path}: not a Parquet file that can be read ({error}).") from error


def _jsonl(path: Path) -> Iterator[Asked]:
    """Objects, one a line; `user_id` is an integer on all lines or a string on all."""
    first, kind = 0, None
    with path.open("rb") as file:
        while lines := list(islice(file, BLOCK)):
            rows = [_row(line, f"{path}, line {first + i + 1}: ") for i, line in enumerate(lines)]
            users = [row.get("user_id") for row in rows]
            kind = type(users[0]) if kind is None else kind
            for i, user in enumerate(users):
                if type(user) is not kind or kind not in _USER:
                    raise InputError(
                        f"{path}, line {first + i + 1}: user_id {user!r}: give a string on every line, or an integer."
                    )
            numbers = pl.Series("row", range(first, first + len(rows)), dtype=pl.Int64)
            lists: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in COLUMNS[1:]}
            yield Asked(
                user=numbers if kind is type(None) else pl.Series("user_id", users, dtype=_USER[kind]),
                histories=[history or [] for history in lists["history"]],
                queries=lists["queries"],
                timestamps=lists["timestamps"],
                now=lists["now"],
                integers=False,
                named=_namer(path, "line", first + 1),
            )
            first += len(rows)


_READERS: dict[str, Callable[[Path], Iterator[Asked]]] = {".parquet": _parquet, ".jsonl": _jsonl}
_USER: dict[type, Any] = {str: pl.String, int: pl.Int64, type(None): pl.Int64}
_FIELDS: dict[str, tuple[set[type], str]] = {
    "history": ({str, int}, "a list of strings or integers"),
    "queries": ({str}, "a list of strings"),
    "timestamps": ({int, float}, "a list of numbers of seconds"),
}


def _row(line: bytes, name: str) -> dict[str, Any]:
    """The object of a line, its lists checked."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{name}not JSON ({error}).") from error
    if not isinstance(row, dict) or "history" not in row:
        raise InputError(f'{name}should be an object such as {{"user_id": "u1", "history": ["17", "42"]}}.')
    for field, (kinds, wanted) in _FIELDS.items():
        given = row.get(field)
        if given is None:
            continue
        if not isinstance(given, list) or not kinds.issuperset(map(type, given)):
            raise InputError(f"{name}{field} should be {wanted}.")
    if row.get("now") is not None and not isinstance(row["now"], int | float):
        raise InputError(f"{name}now should be a number of seconds.")
    return row


def _namer(path: Path, unit: str, first: int) -> Callable[[int], str]:
    return lambda i: f"{path}, {unit} {first + i}: "
