"""The folder of a conversion: whether it is up to date, how it is replaced, what describes it."""

import json
from dataclasses import asdict
from hashlib import sha256 as digest
from pathlib import Path
from typing import Any

import recsys
from recsys import atomic
from recsys.files import sha256
from recsys.qilin import tables
from recsys.qilin.holdings import Holdings
from recsys.qilin.options import Options
from recsys.qilin.report import page

FORMAT = 2


class Folder:
    """The output of a conversion of `files` with `options`; its files are named after it."""

    def __init__(self, path: Path, files: dict[str, list[Path]], options: Options) -> None:
        self.path, self.stem, self.options = path, path.absolute().name, options
        self._stamp = _stamp(files, options)

    def unchanged(self) -> dict[str, Any] | None:
        """The meta of what lies there, if it was made of the same files with the same options and is whole."""
        meta = self.path / f"{self.stem}.meta.json"
        try:
            found = json.loads(meta.read_text(encoding="utf-8"))
            whole = all(sha256(self.path / name) == value for name, value in found["sha256"].items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        whole &= (self.path / f"{self.stem}.report.html").is_file()
        return {**found, "unchanged": True} if whole and found.get("input") == self._stamp else None

    def finish(self, new: Path, meta: dict[str, Any], held: Holdings) -> dict[str, Any]:
        """Write what describes the data set, for RecBole, for people and for programs; return the whole meta."""
        features = {kind: tables.TYPES[kind] for kind in ("item", "user") if (new / f"{self.stem}.{kind}").is_file()}
        (new / f"{self.stem}.yaml").write_text(atomic.recbole_config(self.stem, features), encoding="utf-8")
        digests = {path.name: sha256(path) for path in sorted(new.iterdir())}
        meta = {"format": FORMAT, "options": asdict(self.options), **meta, "input": self._stamp, "sha256": digests}
        (new / f"{self.stem}.report.html").write_text(page(held, self.stem, meta), encoding="utf-8")
        text = json.dumps(meta, indent=2, ensure_ascii=False) + "\n"
        (new / f"{self.stem}.meta.json").write_text(text, encoding="utf-8")
        return meta


def _stamp(files: dict[str, list[Path]], options: Options) -> str:
    """Digest of the names, sizes and times of the input files, of the options and of the converter's version."""
    seen = [
        (config, path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for config, paths in sorted(files.items())
        for path in paths
    ]
    return digest(repr((FORMAT, recsys.__version__, asdict(options), seen)).encode()).hexdigest()
