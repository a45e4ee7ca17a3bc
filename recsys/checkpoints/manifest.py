"""What a checkpoint consists of: six files, of which `manifest.json` holds size and sha256 of the other five."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recsys.errors import InputError
from recsys.files import sha256

MANIFEST = "manifest.json"
FILES = ("model.safetensors", "config.json", "items.tsv", "metrics.json", "README.md")
LIMITS = dict.fromkeys((MANIFEST, "config.json", "metrics.json", "README.md"), 1 << 20)
"""Bytes that the small files may have at most; the others are as large as the manifest says."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """What the manifest says of one file."""

    sha256: str
    size: int
    """Bytes."""


def write(folder: Path) -> None:
    """Write the manifest of the files that lie in `folder`."""
    entries = {name: Entry(sha256(folder / name), (folder / name).stat().st_size) for name in FILES}
    text = json.dumps({name: asdict(entry) for name, entry in entries.items()}, indent=2)
    (folder / MANIFEST).write_text(text + "\n", "utf-8")


def read(folder: Path) -> dict[str, Entry]:
    """What the manifest in `folder` says of each of `FILES`.

    Raises:
        InputError: there is none, it is no such table, or it names other files.
    """
    path = folder / MANIFEST
    content = read_json(path)
    if odd := sorted(content.keys() - set(FILES)):
        raise InputError(f"{path}: names {odd[0]!r:.80}, which is no part of a checkpoint.")
    entries = {}
    for name in FILES:
        entry = content.get(name)
        if not isinstance(entry, dict) or not {"sha256", "size"} <= entry.keys():
            raise InputError(f"{path}: no entry with sha256 and size for {name}.")
        size, digest = entry["size"], entry["sha256"]
        if type(size) is not int or size < 0 or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise InputError(f"{path}: the entry for {name} has no sha256 of 64 hex digits, or no size in bytes.")
        if size > LIMITS.get(name, size):
            raise InputError(f"{path}: {name} of {size:,} bytes; it may have {LIMITS[name]:,} at most.")
        entries[name] = Entry(digest, size)
    return entries


def verify(folder: Path) -> None:
    """Compare every file with the manifest.

    Raises:
        InputError: a file is missing, or its size or content is not what the manifest says.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such checkpoint folder.")
    for name, entry in read(folder).items():
        file = folder / name
        if not file.is_file() or file.is_symlink():
            raise InputError(f"{file}: missing from the checkpoint, or not a plain file.")
        if not agrees(file, entry):
            raise InputError(
                f"{file}: damaged, its content is not what manifest.json says. Download or export it again."
            )


def agrees(file: Path, entry: Entry) -> bool:
    """Whether the content of a file is what the manifest says."""
    return file.stat().st_size == entry.size and sha256(file) == entry.sha256


def read_json(path: Path) -> dict[str, Any]:
    """The object in one of the small files.

    Raises:
        InputError: no such file, or no JSON object of a reasonable size in it.
    """
    if not path.is_file() or path.is_symlink():
        raise InputError(f"{path}: missing from the checkpoint, or not a plain file.")
    if path.stat().st_size > LIMITS.get(path.name, 1 << 20):
        raise InputError(f"{path}: {path.stat().st_size:,} bytes, far more than such a file has.")
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and thousands of brackets
        raise InputError(f"{path}: not JSON ({brief(error)}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a JSON object.")
    return content


def brief(error: BaseException) -> str:
    """What an error says, on one line of readable length: what a foreign file made of it may be any text."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    return (text[:200] + " …" if len(text) > 200 else text) or type(error).__name__
