"""The folder of a conversion: whether it is up to date, how it is replaced, what describes it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256 as digest
from pathlib import Path
from typing import Any

import recsys
from recsys.errors import InputError
from recsys.files import atomic_folder, sha256
from recsys.qilin import tables
from recsys.qilin.holdings import Holdings
from recsys.qilin.options import Options
from recsys.qilin.report import page

FORMAT = 2

_RECBOLE = """\
# For stock RecBole 1.2.1: run_recbole(dataset="{stem}", config_file_list=[<this file>],
# config_dict={{"data_path": <the folder that holds this file's folder>}})
field_separator: "\\t"
seq_separator: " "
USER_ID_FIELD: user_id
ITEM_ID_FIELD: item_id
TIME_FIELD: timestamp
load_col:  # not the title: under pandas 3, RecBole 1.2.1 cannot load a token_seq
{columns}
filter_inter_by_user_or_item: false  # keep a click whose note or user has no features
MAX_ITEM_LIST_LENGTH: 50
train_neg_sample_args: null  # cross-entropy over all items
eval_args: {{split: {{LS: valid_and_test}}, group_by: user, order: TO, mode: full}}
"""


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

    @contextmanager
    def replaced(self) -> Iterator[Path]:
        """A new folder, which takes the place of the old one when all went well.

        Raises:
            InputError: it cannot be written.
        """
        try:
            with atomic_folder(self.path) as new:
                yield new
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror or error}).") from error

    def finish(self, new: Path, meta: dict[str, Any], held: Holdings) -> dict[str, Any]:
        """Write what describes the data set, for RecBole, for people and for programs; return the whole meta."""
        (new / f"{self.stem}.yaml").write_text(_recbole(self.stem, new), encoding="utf-8")
        digests = {path.name: sha256(path) for path in sorted(new.iterdir())}
        meta = {"format": FORMAT, "options": asdict(self.options), **meta, "input": self._stamp, "sha256": digests}
        (new / f"{self.stem}.report.html").write_text(page(held, self.stem, meta), encoding="utf-8")
        text = json.dumps(meta, indent=2, ensure_ascii=False) + "\n"
        (new / f"{self.stem}.meta.json").write_text(text, encoding="utf-8")
        return meta


def require_own(output: Path, source: Path) -> None:
    """Replacing a folder deletes what it held: refuse unless that is an earlier conversion without the source in it.

    Raises:
        InputError: it is something else.
    """
    if source.resolve().is_relative_to(output.resolve()):
        raise InputError(f"{output}: the output would replace the source {source}; name another folder.")
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file; the output is a folder.")
    if output.is_dir() and any(output.iterdir()) and not (output / f"{output.absolute().name}.meta.json").is_file():
        raise InputError(f"{output}: holds something other than a conversion; name another folder.")


def _stamp(files: dict[str, list[Path]], options: Options) -> str:
    """Digest of the names, sizes and times of the input files, of the options and of the converter's version."""
    seen = [
        (config, path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for config, paths in sorted(files.items())
        for path in paths
    ]
    return digest(repr((FORMAT, recsys.__version__, asdict(options), seen)).encode()).hexdigest()


def _recbole(stem: str, folder: Path) -> str:
    features = {kind: tables.TYPES[kind] for kind in ("item", "user") if (folder / f"{stem}.{kind}").is_file()}
    tokens = {kind: [name for name, type_ in types.items() if type_ == "token"] for kind, types in features.items()}
    loaded = {"inter": ["user_id", "item_id", "timestamp"]} | tokens
    return _RECBOLE.format(stem=stem, columns="\n".join(f"  {kind}: [{', '.join(c)}]" for kind, c in loaded.items()))
