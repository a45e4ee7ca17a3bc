"""A data set as it was read once: one file of arrays, mapped into memory, found by the content that it was made from.

What `load` makes of the atomic files is kept under the data set's fingerprint. Beside it a note says which fingerprint
belongs to which files, by their path, size and times of change: as long as these are the same, nothing of the files is
read. A file that was touched is hashed again, and parsed again only if its content is new. The trade-off is that of git
and make: content changed under an unchanged size, modification *and* change time would go unnoticed.

The cache is `$RECSYS_CACHE` (empty: none), otherwise a folder of the platform. It can be deleted at any time, and where
it cannot be written there is none. Processes that open the same data set share the mapped memory.
"""

import hashlib
import json
import math
import mmap
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

import recsys
from recsys import atomic
from recsys.data.dataset import Dataset, fingerprint, load, read_meta
from recsys.data.items import item_file, read_content
from recsys.data.ragged import Ragged
from recsys.data.records import Events, Requests, Searches
from recsys.files import atomic_file, cache_folder, sha256
from recsys.models.content import Content

KEPT_BYTES, KEPT_DAYS = 8 << 30, 30
"""With each new data set, those that nobody has opened for so long leave, and the longest unopened beyond the size."""
T = TypeVar("T")

SETTLED = 2.0
"""Seconds after which a change of a file is sure to change its times: younger files are hashed each time."""


class Lines(Sequence[str]):
    """Texts that are told apart only when one of them is asked for."""

    def __init__(self, joined: np.ndarray, count: int) -> None:
        self._joined, self._count = joined, count

    @cached_property
    def _texts(self) -> list[str]:
        return self._joined.tobytes().decode().split("\n") if self._count else []

    def __len__(self) -> int:
        """Number of texts."""
        return self._count

    @overload
    def __getitem__(self, i: int) -> str: ...

    @overload
    def __getitem__(self, i: slice) -> list[str]: ...

    def __getitem__(self, i: int | slice) -> str | list[str]:
        """One text, or a list of several."""
        return self._texts[i]

    def __eq__(self, other: object) -> bool:
        """Whether `other` is a sequence of the same texts."""
        return isinstance(other, Sequence) and self._texts == list(other)


def cached(path: Path, vocabulary: tuple[str, ...] = ("train",), min_count: int = 1) -> Dataset:
    """The same as `load`, out of the cache where it lies there already.

    Raises:
        InputError: as `load` does. What is wrong with the cache is no error.
    """
    folder = cache_folder()
    if folder is None or not path.is_dir():
        return load(path, vocabulary, min_count)
    key = repr((str(path.resolve()), vocabulary, min_count))
    note = folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    stamp = _stamp(path)
    known = _noted(note, stamp)
    content = known or fingerprint(path, vocabulary, min_count)
    entry = folder / f"{content}-{_code()}.safetensors"
    dataset = _opened(entry, path, content)
    if dataset is None:
        dataset = load(path, vocabulary, min_count)
        if dataset.fingerprint != content or _stamp(path) != stamp:
            return dataset  # the files are being changed under our eyes
        _keep(*_flat(dataset), entry)
    if known is None and time.time() - max((max(times) for _, *times in stamp.values()), default=0) / 1e9 > SETTLED:
        with suppress(OSError), atomic_file(note) as file:
            file.write_text(json.dumps({"stamp": stamp, "fingerprint": content}), encoding="utf-8")
    return dataset


def cached_content(
    path: Path, items: atomic.Vocabulary, categories: Sequence[str] | None = None, vectors: str | None = None
) -> Content:
    """The same as `read_content`, out of the cache where it lies there already.

    Raises:
        InputError: as `read_content` does.
    """
    folder, file = cache_folder(), item_file(path)
    if folder is None or not file.is_file():
        return read_content(path, items, categories, vectors)
    key = repr((sha256(file), items.sha256, categories, vectors))
    entry = folder / f"{hashlib.sha256(key.encode()).hexdigest()}-{_code()}.safetensors"
    found = _read(entry)
    if found is None:
        content = read_content(path, items, categories, vectors)
        _keep({name: np.ascontiguousarray(value) for name, value in vars(content).items()}, {}, entry)
        return content
    return Content(**found[0])


def _stamp(path: Path) -> dict[str, list[int]]:
    """Size and times of change of the files that a data set is read from."""
    stem, stamp = path.resolve().name, {}
    for suffix in ("inter", "request", "search", "query", "item", "meta.json"):
        with suppress(FileNotFoundError):
            found = (path / f"{stem}.{suffix}").stat()
            stamp[suffix] = [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    return stamp


def _noted(note: Path, stamp: dict[str, list[int]]) -> str | None:
    """The fingerprint in `note`, if the files are still those that it was written about."""
    try:
        content = json.loads(note.read_text("utf-8"))
        os.utime(note)
        return str(content["fingerprint"]) if content["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def _code() -> str:
    """Digest of the source that makes these arrays, so that no other version of it is taken at its word."""
    names = (
        *("atomic.files", "atomic.vocabulary", "data.cache", "data.dataset", "data.items", "atomic.split"),
        "models.text",
    )
    files = (Path(recsys.__file__).parent.joinpath(*name.split(".")).with_suffix(".py") for name in names)
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _keep(arrays: dict[str, np.ndarray], counts: dict[str, int], entry: Path) -> None:
    """Write arrays into the cache, and take out what is no longer needed; silent where that cannot be."""
    facts = {"counts": json.dumps(counts), "sum": str(_sum(arrays))}
    with suppress(OSError, SafetensorError):
        with atomic_file(entry) as file:
            save_file(arrays, file, metadata=facts)
        _prune(entry.parent)


def _prune(folder: Path) -> None:
    room, oldest = KEPT_BYTES, time.time() - KEPT_DAYS * 86400
    kept = ((f.stat().st_mtime, f.stat().st_size, f) for f in folder.iterdir() if f.is_file())
    for used, size, file in sorted(kept, reverse=True):
        room -= size
        if used < oldest or room < 0:
            file.unlink(missing_ok=True)


def _read(entry: Path) -> tuple[dict[str, np.ndarray], dict[str, int]] | None:
    """The arrays and counts that lie in `entry`; None if none do, or not those that were written."""
    try:
        arrays, facts = _mapped(entry)
        if str(_sum(arrays)) != facts["sum"]:
            return None
        os.utime(entry)
        return arrays, json.loads(facts["counts"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _opened(entry: Path, path: Path, content: str) -> Dataset | None:
    """The data set that lies in `entry`, if it does."""
    found = _read(entry)
    if found is None:
        return None
    arrays, counts = found
    return Dataset(
        name=path.resolve().name,
        items=atomic.Vocabulary(Lines(arrays["items"], counts["items"])),
        users=Lines(arrays["users"], counts["users"]),
        events=_part(Events, "events", arrays, counts),
        requests=_part(Requests, "requests", arrays, counts),
        searches=_part(Searches, "searches", arrays, counts) if "searches.user" in arrays else None,
        synthetic=bool(read_meta(path).get("synthetic")),
        fingerprint=content,
    )


def _mapped(entry: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a safetensors file without reading them, and its metadata; written to, they change in memory alone.

    The format is 8 bytes with the length of a JSON header, the header, and the arrays
    (https://huggingface.co/docs/safetensors).
    """
    with entry.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    first = 8 + int.from_bytes(memory[:8], "little")
    header = json.loads(memory[8:first])
    facts, arrays = header.pop("__metadata__"), {}
    for name, about in header.items():
        shape, (begin, end) = about["shape"], about["data_offsets"]
        kind = _TYPES[about["dtype"]]
        empty = begin == end  # which numpy takes for a mistake
        flat = np.zeros(0, kind) if empty else np.frombuffer(memory, kind, math.prod(shape), first + begin)
        arrays[name] = flat.reshape(shape)
    return arrays, facts


_TYPES: dict[str, Any] = {"I64": np.int64, "U32": np.uint32, "F32": np.float32, "BOOL": np.bool_, "U8": np.uint8}


def _sum(arrays: dict[str, np.ndarray]) -> int:
    """Sum of all words: what a damaged file no longer has, at the speed of memory."""
    words = (a.reshape(-1).view(np.uint64 if a.itemsize == 8 else np.uint8) for a in arrays.values())
    return sum(int(each.sum(dtype=np.uint64)) for each in words) % (1 << 64)


def _flat(dataset: Dataset) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Every array of the data set by its dotted name, and the number of texts in those that hold texts."""
    values: dict[str, Any] = {"items": dataset.items.tokens, "users": dataset.users}
    for part in ("events", "requests", "searches"):
        if getattr(dataset, part) is not None:
            values |= {f"{part}.{name}": value for name, value in vars(getattr(dataset, part)).items()}
    arrays, counts = {}, {}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif isinstance(value, Ragged):
            arrays |= {f"{name}.offsets": value.offsets, f"{name}.values": value.values}
        elif value is not None:
            arrays[name] = np.frombuffer("\n".join(value).encode(), np.uint8)
            counts[name] = len(value)
    return {name: np.ascontiguousarray(value) for name, value in arrays.items()}, counts


def _part(kind: type[T], part: str, arrays: dict[str, np.ndarray], counts: dict[str, int]) -> T:
    """One part of the data set from its arrays; a field without one is None."""
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        name = f"{part}.{field.name}"
        if name in counts:
            values[field.name] = Lines(arrays[name], counts[name])
        elif f"{name}.offsets" in arrays:
            values[field.name] = Ragged(arrays[f"{name}.offsets"], arrays[f"{name}.values"])
        else:
            values[field.name] = arrays.get(name)
    return kind(**values)
