"""The zoo's list of checkpoints by name: where each lies, what it must be, and what it is worth.

An entry holds the sha256 of the checkpoint's manifest, which holds that of every other file: what arrives under a name
is what was listed, to the bit, wherever it lies.
"""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recsys.checkpoints import manifest
from recsys.checkpoints.manifest import FILES, MANIFEST, read_json
from recsys.errors import InputError
from recsys.files import sha256, shipped

FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,99}")
"""A name is one word, and never a path."""
HEADLINE = ("test/ndcg@10", "test/recall@10", "val/ndcg@10")
"""The metrics that the list shows, of those that a checkpoint has."""
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One checkpoint of the list."""

    source: str
    """A folder beside the list, or any address that `fetch` takes."""
    manifest_sha256: str
    size: int
    """Bytes of all files."""
    model: str
    data: str
    items: int
    licence: str
    metrics: dict[str, float]
    intervals: dict[str, list[float]]


_TYPES = dict(zip(Entry.__dataclass_fields__, (str, str, int, str, str, int, str, dict, dict), strict=True))


def headline(metrics: dict[str, float]) -> dict[str, float]:
    """Those of a checkpoint's metrics that are shown; all of them where it has none of the usual."""
    return {name: metrics[name] for name in HEADLINE if name in metrics} or metrics


def describe(folder: Path, source: str) -> dict[str, Any]:
    """The entry of the checkpoint in `folder`, as the list has it.

    Raises:
        InputError: it does not verify, or cannot be loaded.
    """
    from recsys.checkpoints.folder import load  # late: who only reads the list needs no torch

    checkpoint = load(folder)
    shown = [name for name in HEADLINE if name in checkpoint.metrics]
    entry = Entry(
        source=source,
        manifest_sha256=sha256(folder / MANIFEST),
        size=sum((folder / name).stat().st_size for name in (*FILES, MANIFEST)),
        model=checkpoint.network.title,
        data=str(checkpoint.data.get("name", "unknown")),
        items=len(checkpoint.items) - 1,
        licence=str(checkpoint.data.get("licence", "")),
        metrics={name: round(checkpoint.metrics[name], 6) for name in shown},
        intervals={
            name: [round(end, 6) for end in checkpoint.intervals[name]]
            for name in shown
            if name in checkpoint.intervals
        },
    )
    return asdict(entry)


def read(file: Path | None = None) -> dict[str, Entry]:
    """The list in `file`, of the library where None is given.

    Raises:
        InputError: no such list, a name that is a path, an entry that lacks something.
    """
    file = file or shipped("checkpoints") / "registry.json"
    content = read_json(file)
    listed = content.get("checkpoints")
    if content.get("format") != FORMAT or not isinstance(listed, dict):
        raise InputError(f"{file}: no list of checkpoints in format {FORMAT}.")
    return {name: _entry(file, name, entry) for name, entry in listed.items()}


def _entry(file: Path, name: str, entry: Any) -> Entry:
    if not NAME.fullmatch(name):
        raise InputError(f"{file}: {name!r:.80} is no name; letters, digits, '.', '_' and '-' make one.")
    if not isinstance(entry, dict) or entry.keys() != _TYPES.keys():
        raise InputError(f"{file}: {name} should have {', '.join(_TYPES)}, and nothing else.")
    for key, kind in _TYPES.items():
        if type(entry[key]) is not kind:
            raise InputError(f"{file}: {name} has a {key} that is no {kind.__name__}.")
    if not DIGEST.fullmatch(entry["manifest_sha256"]):
        raise InputError(f"{file}: {name} has a manifest_sha256 that is not 64 hex digits.")
    if "://" not in entry["source"] and not NAME.fullmatch(entry["source"]):
        raise InputError(f"{file}: {name} lies in {entry['source']!r:.80}, which is no folder beside the list.")
    return Entry(**entry)


def local(entry: Entry, file: Path | None = None) -> Path | None:
    """The verified folder beside the list that holds the checkpoint; None where it must be fetched.

    Raises:
        InputError: it is not there, not a folder of its own, or not what the entry says.
    """
    if "://" in entry.source:
        return None
    folder = (file.parent if file else shipped("checkpoints")) / entry.source
    if folder.is_symlink() or not folder.is_dir():
        raise InputError(f"{folder}: no such checkpoint folder.")
    manifest.verify(folder)
    if sha256(folder / MANIFEST) != entry.manifest_sha256:
        raise InputError(f"{folder}: another checkpoint than the one that is listed.")
    return folder
