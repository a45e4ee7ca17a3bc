"""wandb's own file of an offline run, read without a server: `offline-run-…/run-ID.wandb`.

The file is a log in LevelDB's format: seven bytes that say whose it is, then blocks of 32 KiB, the first one with those
bytes. A block holds chunks, each behind the CRC-32 of its type and content, its length and its type, which says whether
a record is whole or begins, goes on or ends in it; fewer than seven bytes at the end of a block are padding. Records
are wandb's protobuf messages, whose values are JSON.
"""

import json
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

HEADER = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
BLOCK = 1 << 15
CHUNK = struct.Struct("<IHB")
"""CRC-32, length, type."""
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4
CRC_OF_TYPE = {kind: zlib.crc32(bytes([kind])) for kind in (WHOLE, FIRST, MIDDLE, LAST)}
KIND = re.compile(rb"\x08[\x80-\xff]*[\x00-\x7f](.)", re.DOTALL)
"""A record's number, which is as long as its bytes have their highest bit set, and the tag behind it."""
HISTORY, SUMMARY = b"\x12", b"\x1a"
"""Tags of the two kinds of records that logs are full of: fields 2 and 3, messages."""


class DamagedError(ValueError):
    """Where the file stops making sense, and why."""


@dataclass
class Log:
    """What an offline run has left."""

    run_id: str = ""
    name: str = ""
    project: str = ""
    group: str = ""
    tags: list[str] = field(default_factory=list)
    started: float = 0.0
    """Seconds since 1970."""
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    """None while it runs, or when it was killed."""
    damage: str | None = None
    """A sentence, where the file ends early or was changed; the rest is what comes before."""


def read_log(path: Path) -> Log:
    """Everything but the history."""
    from wandb.proto.wandb_internal_pb2 import Record

    log, config, summaries = Log(), _Values(), list[bytes]()

    def take(entry: bytes) -> None:
        found = KIND.match(entry)
        kind = found[1] if found else b""
        if kind == HISTORY:
            return
        if kind == SUMMARY:
            summaries.append(entry)
            return
        record = Record.FromString(entry)
        if record.WhichOneof("record_type") == "summary":
            summaries.append(entry)
        elif record.WhichOneof("record_type") == "config":
            config.update(record.config)
        elif record.WhichOneof("record_type") == "run":
            run = record.run
            log.run_id, log.name, log.project, log.group = run.run_id, run.display_name, run.project, run.run_group
            log.tags, log.started = list(run.tags), run.start_time.seconds + run.start_time.nanos / 1e9
            config.update(run.config)
        elif record.WhichOneof("record_type") == "exit":
            log.exit_code = record.exit.exit_code

    log.damage = _each(path, take)
    log.config, log.summary = config.nested(), _folded(summaries).nested()
    return log


def read_history(path: Path) -> list[dict[str, Any]]:
    """One mapping for each call of `wandb.log`, as far as the file can be read."""
    from wandb.proto.wandb_internal_pb2 import Record

    rows: list[dict[str, Any]] = []

    def take(entry: bytes) -> None:
        record = Record.FromString(entry)
        if record.WhichOneof("record_type") == "history":
            row = _Values()
            row.update_items(record.history.item)
            rows.append({"_step": record.history.step.num} | row.nested())

    _each(path, take)
    return rows


def number(value: Any) -> float | None:
    """A logged value as a number, if it is one; wandb writes those that JSON lacks as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    return (
        {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(value) if isinstance(value, str) else None
    )


def entries(file: BinaryIO) -> Iterator[bytes]:
    """The records of a log, in order.

    Raises:
        DamagedError: behind the last one that can be read, if the file does not end there.
    """
    if file.read(len(HEADER)) != HEADER:
        raise DamagedError("does not begin as a file of wandb's")
    parts: list[bytes] = []
    begin, size = 0, BLOCK - len(HEADER)
    while block := file.read(size):
        begin, size, at = file.tell() - len(block), BLOCK, 0
        while at + CHUNK.size <= len(block):
            crc, length, kind = CHUNK.unpack_from(block, at)
            content = block[at + CHUNK.size : at + CHUNK.size + length]
            if len(content) < length:
                raise DamagedError(f"ends within a record at byte {begin + at:,}")
            if kind not in CRC_OF_TYPE or zlib.crc32(content, CRC_OF_TYPE[kind]) != crc:
                raise DamagedError(f"is damaged at byte {begin + at:,}")
            if (kind in (WHOLE, FIRST)) == bool(parts):
                raise DamagedError(f"lacks a part of a record at byte {begin + at:,}")
            at += CHUNK.size + length
            if kind == WHOLE:
                yield content
                continue
            parts.append(content)
            if kind == LAST:
                yield b"".join(parts)
                parts = []
        if len(block) - at and file.tell() % BLOCK:
            raise DamagedError(f"ends within a record at byte {begin + at:,}")
    if parts:
        raise DamagedError("ends within a record")


class _Values:
    """Paths of keys and the JSON that was last written to each."""

    def __init__(self) -> None:
        self.written: dict[tuple[str, ...], str] = {}

    def update(self, record: Any) -> None:
        """Take over what a config or a summary record sets, then leave out what it removes."""
        self.update_items(record.update)
        for item in record.remove:
            key = _key(item)
            for known in [known for known in self.written if known[: len(key)] == key]:
                del self.written[known]

    def update_items(self, items: Any) -> None:
        """What is written last is the last in order, be it a whole or a part of one."""
        latest: dict[tuple[str, ...], str] = {}
        for item in reversed(items):  # as nearly all of many items are written over by later ones
            path = item.nested_key
            key = (path[0],) if len(path) == 1 else _key(item)
            if key not in latest:
                latest[key] = item.value_json
        for key in reversed(latest):
            self.written.pop(key, None)
            self.written[key] = latest[key]

    def nested(self) -> dict[str, Any]:
        """As nested mappings, without what wandb keeps for itself."""
        found: dict[str, Any] = {}
        for key, text in self.written.items():
            if key[0] == "_wandb":
                continue
            place = found
            for part in key[:-1]:
                inner = place.get(part)
                if not isinstance(inner, dict):
                    inner = place[part] = {}
                place = inner
            place[key[-1]] = _value(text)
        return found


def _folded(summaries: list[bytes]) -> _Values:
    """All summary records, of which there are two for each step.

    Protobuf messages one behind the other are the messages merged, which parses them at once.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    values, merged = _Values(), Record.FromString(b"".join(summaries)).summary
    for record in [merged] if not merged.remove else [Record.FromString(entry).summary for entry in summaries]:
        values.update(record)
    return values


def _each(path: Path, take: Callable[[bytes], None]) -> str | None:
    """Give every record to `take`; the damage that ended it."""
    from google.protobuf.message import DecodeError

    count = 0
    try:
        with path.open("rb") as file:
            for entry in entries(file):
                take(entry)
                count += 1
    except DamagedError as error:
        return f"{path}: {error}; the {count:,} records before it are read."
    except DecodeError as error:
        return f"{path}: record {count + 1:,} is none of wandb's ({error}); those before it are read."
    return None


def _key(item: Any) -> tuple[str, ...]:
    return tuple(item.nested_key) or (item.key,)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
