"""What a test has uploaded to wandb's server: brought here when it is asked for, verified, and kept."""

import base64
import hashlib
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from recsys.errors import InputError
from recsys.files import atomic_folder, cache_folder, sha256

NAME = re.compile(r"test(_requests|_slices)?(\.\d+)?\.(json|parquet)", re.ASCII)
"""What a test uploads; whatever else a run says to have stays where it is."""
USUAL = ("test.json", "test_requests.parquet", "test_slices.parquet")
"""Of a run that has not logged what it has uploaded."""
DAY = 86_400
MOST = 512 << 20
"""Bytes that the files of one run may have."""


@dataclass(frozen=True)
class Upload:
    """The files of one test, on a server."""

    run: Any
    """As wandb's client has it."""
    server: str
    """Its address."""
    sha256: Mapping[str, str]
    """By name, as the run itself has logged them; nothing in runs of a version that did not."""

    @property
    def root(self) -> Path:
        """Where all that was fetched of the run is kept.

        Raises:
            InputError: nothing may be kept.
        """
        cache = cache_folder()
        if cache is None:
            raise InputError("RECSYS_CACHE is empty; set it to a folder that keeps downloads")
        parts = [self.server.partition("://")[2], self.run.entity, self.run.project, self.run.id]
        return cache.joinpath("wandb", *(re.sub(r"[^\w.-]|^\.+", "-", part) for part in parts))

    def fetch(self) -> Path:
        """The folder that holds them, fetched unless it is here already.

        Raises:
            InputError: the server does not have them, or what arrived is not what was uploaded.
        """
        names = list(self.sha256 or USUAL)
        if self.sha256 and (here := self.root / _version(sorted(self.sha256.items()))).is_dir():
            return here
        files = [file for file in self.run.files(names=names) if file.name in names]
        if not any(file.name.startswith("test_requests") for file in files):
            raise InputError("no values per request are there")
        if missing := sorted(self.sha256.keys() - {file.name for file in files}):
            raise InputError(f"{missing[0]} is not there")
        if sum(file.size for file in files) > MOST:
            raise InputError(
                f"{sum(file.size for file in files) / 1e6:,.0f} MB are more than the {MOST >> 20} MB taken"
            )
        stated = [
            [file.name, file.size, getattr(file, "md5", None), getattr(file, "updated_at", None)] for file in files
        ]
        here = self.root / _version(sorted(self.sha256.items()) or sorted(stated, key=repr))
        if not here.is_dir():
            with atomic_folder(here) as temporary:
                for file in files:
                    file.download(root=str(temporary), replace=True).close()
                    self._check(temporary / file.name, file)
            for earlier in self.root.iterdir():  # what is hidden may just arrive, for another process
                if earlier != here and (earlier.name[0] != "." or time.time() - earlier.stat().st_mtime > DAY):
                    shutil.rmtree(earlier, ignore_errors=True)
        return here

    def _check(self, arrived: Path, file: Any) -> None:
        """By the run's own sha256, else by the server's MD5, else by whether it can be read."""
        stated = getattr(file, "md5", None) or ""
        if file.name in self.sha256:
            whole = sha256(arrived) == self.sha256[file.name]
        elif known := _bytes(stated):
            whole = hashlib.md5(arrived.read_bytes(), usedforsecurity=False).digest() == known
        else:
            whole = arrived.stat().st_size == file.size
        if whole and arrived.suffix == ".parquet":
            try:
                pl.read_parquet(arrived)
            except (pl.exceptions.PolarsError, OSError):
                whole = False
        if not whole:
            raise InputError(f"{file.name} arrived damaged")


def _version(stated: Sequence[Any]) -> str:
    return hashlib.sha256(repr(stated).encode()).hexdigest()[:16]


def _bytes(md5: str) -> bytes:
    """Of an MD5 in hexadecimal or base64; nothing of what is neither, as of a file in parts."""
    if re.fullmatch(r"[0-9a-fA-F]{32}", md5):
        return bytes.fromhex(md5)
    return base64.b64decode(md5) if re.fullmatch(r"[A-Za-z0-9+/]{22}==", md5) else b""
