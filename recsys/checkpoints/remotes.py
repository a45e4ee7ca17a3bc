"""Where checkpoints come from: the Hugging Face Hub, wandb, a folder on a web server."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from recsys import hub
from recsys.checkpoints import web
from recsys.checkpoints.manifest import LIMITS, MANIFEST, Entry
from recsys.checkpoints.web import DISK_FULL, Progress
from recsys.errors import InputError, Unreachable, did_you_mean

OTHERWISE = "A folder that holds the same files works too."


class Remote(Protocol):
    """A place that a checkpoint's files can be fetched from, one by one."""

    address: str
    fixed: bool
    """Whether the address names one content for ever."""

    def manifest(self, folder: Path, progress: Progress) -> None:
        """Write `manifest.json` into the empty `folder`."""

    def file(self, name: str, entry: Entry, folder: Path, progress: Progress) -> None:
        """Write a file into `folder`; half of it may lie there."""


def remote(address: str) -> Remote:
    """What the address names, by its prefix; nothing is fetched yet.

    Raises:
        InputError: no such prefix, or no such address.
    """
    scheme = address.partition("://")[0]
    if scheme == "hf":
        return Hub(address)
    if scheme == "wandb":
        return Wandb(address)
    if scheme in ("http", "https"):
        return Web(address)
    raise InputError(
        f"{scheme[:40]!r}: no checkpoints come from there.{did_you_mean(scheme, ['hf', 'wandb', 'https'])}"
    )


class Web:
    """A folder of files on a web server."""

    fixed = False

    def __init__(self, address: str) -> None:
        web.check(address)
        self.address = address.rstrip("/")

    def manifest(self, folder: Path, progress: Progress) -> None:
        """See `Remote`."""
        web.get(f"{self.address}/{MANIFEST}", folder / MANIFEST, LIMITS[MANIFEST], False, progress)

    def file(self, name: str, entry: Entry, folder: Path, progress: Progress) -> None:
        """See `Remote`."""
        web.get(f"{self.address}/{name}", folder / name, entry.size, True, progress)


class Hub:
    """A model repository of the Hugging Face Hub; its own client fetches, resumes and logs in."""

    def __init__(self, address: str) -> None:
        self.address, self._named = address, hub.parse(address)
        self._commit = self._named.revision
        self.fixed = re.fullmatch(r"[0-9a-f]{40}", self._commit) is not None

    def manifest(self, folder: Path, progress: Progress) -> None:
        """See `Remote`; from here on the commit stays the same, whatever happens to the branch."""
        with self._explained(MANIFEST):
            found = self._facts(MANIFEST)
            if (found.size or 0) > LIMITS[MANIFEST]:
                raise InputError(f"{self.address}: its {MANIFEST} has {found.size:,} bytes, far more than one has.")
            self._commit = found.commit_hash or self._commit
            self._download(MANIFEST, folder)

    def file(self, name: str, entry: Entry, folder: Path, progress: Progress) -> None:
        """See `Remote`."""
        with self._explained(name):
            size = self._facts(name).size
            if size != entry.size:
                raise InputError(f"{self.address}: {name} has {size} bytes there, but {entry.size:,} in {MANIFEST}.")
            self._download(name, folder)

    def _facts(self, name: str) -> Any:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        return get_hf_file_metadata(hf_hub_url(self._named.repository, name, revision=self._commit))

    def _download(self, name: str, folder: Path) -> None:
        from huggingface_hub import hf_hub_download

        hf_hub_download(self._named.repository, name, revision=self._commit, local_dir=folder)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        from huggingface_hub import errors

        with hub.explained(self.address, self._named, "no such model", OTHERWISE):
            try:
                yield
            except errors.RemoteEntryNotFoundError as error:
                raise InputError(f"{self.address}: holds no checkpoint of this library, {name} is missing.") from error


class Wandb:
    """A version of a wandb artifact; wandb's own client logs in and finds each file, which comes as from any server.

    The client itself would begin anew where a connection broke.
    """

    _ADDRESS = re.compile(r"wandb://(?P<path>[\w.-]+/[\w.-]+/[\w.-]+:(?P<alias>[\w.-]+))", re.ASCII)

    def __init__(self, address: str) -> None:
        found = self._ADDRESS.fullmatch(address)
        if found is None:
            raise InputError(f"{address}: not an artifact on wandb; it should be wandb://entity/project/name:alias.")
        self.address, self.path = address, found["path"]
        self.fixed = re.fullmatch(r"v\d+", found["alias"]) is not None
        self._artifact: Any = None

    def manifest(self, folder: Path, progress: Progress) -> None:
        """See `Remote`."""
        self._get(MANIFEST, None, folder, progress)

    def file(self, name: str, entry: Entry, folder: Path, progress: Progress) -> None:
        """See `Remote`."""
        self._get(name, entry.size, folder, progress)

    def _get(self, name: str, size: int | None, folder: Path, progress: Progress) -> None:
        import wandb

        try:
            if self._artifact is None:
                self._artifact = wandb.Api().artifact(self.path)
            entries = self._artifact.manifest.entries
            if name not in entries:
                raise InputError(f"{self.address}: holds no checkpoint of this library, {name} is missing.")
            there = entries[name].size
            if there is None or (there != size and (size is not None or there > LIMITS[name])):
                raise InputError(f"{self.address}: {name} has {there} bytes there, which is not what it may have.")
            if entries[name].ref is not None:
                raise InputError(f"{self.address}: {name} is a reference to another place, which is not followed.")
            (found,) = self._artifact.files(names=[name])
            web.get(found.direct_url, folder / name, there, True, progress)
        except (wandb.errors.Error, ValueError, OSError) as error:
            if isinstance(error, InputError) or (isinstance(error, OSError) and error.errno in DISK_FULL):
                raise
            raise Unreachable(
                f"{self.address}: wandb does not give it ({hub.first_line(error)}). {OTHERWISE}"
            ) from error
