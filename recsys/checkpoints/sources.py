"""From where a checkpoint lies to a folder on this machine that is complete and verified.

Downloads are kept by what they are, the sha256 of their manifest, and not by where they came from: two places with the
same checkpoint share one copy. A note for each address says what it named last, for the day without a network.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recsys.checkpoints import manifest, registry
from recsys.checkpoints.manifest import FILES, MANIFEST, brief
from recsys.checkpoints.remotes import Remote, remote
from recsys.checkpoints.web import DISK_FULL, Progress
from recsys.errors import InputError, Unreachable, did_you_mean
from recsys.files import atomic_file, atomic_folder, cache_folder, sha256

_SPARE = 32 << 20
"""Bytes of the disk that a download leaves free."""


def fetch(source: str | Path, progress: Progress = lambda message: None) -> Path:
    """The verified folder of a checkpoint, fetched unless it is on this machine already.

    Args:
        source: A name in the zoo's list, `hf://owner/name[@revision]`, `wandb://entity/project/name:alias`,
            `https://host/folder`, or a folder. A folder whose name is in the list is named `./NAME`.
        progress: Told in a sentence what is being done.

    Raises:
        InputError: nothing of that name, neither network nor copy, or a file that is not what it should be.
    """
    if isinstance(source, str) and "://" in source:
        return _fetch(remote(source), None, progress)
    entries = registry.read() if registry.NAME.fullmatch(str(source)) else {}
    if isinstance(source, str) and source in entries:
        return listed(entries[source], progress)
    folder = Path(source)
    if isinstance(source, str) and registry.NAME.fullmatch(source) and not folder.exists():
        raise InputError(
            f"{source}: neither a folder nor the name of a checkpoint.{did_you_mean(str(source), entries)}"
        )
    manifest.verify(folder)
    return folder


def published(source: str) -> bool:
    """Whether `fetch` takes this for an address or a name in the zoo's list, and not for a folder."""
    return "://" in source or (registry.NAME.fullmatch(source) is not None and source in registry.read())


def listed(entry: registry.Entry, progress: Progress, file: Path | None = None) -> Path:
    """The verified folder of what an entry of the list in `file` names.

    Raises:
        InputError: as `fetch`.
    """
    return registry.local(entry, file) or _fetch(remote(entry.source), entry.manifest_sha256, progress)


def copy(folder: Path, target: Path) -> None:
    """Write a verified checkpoint to another folder, all of it or nothing.

    Raises:
        InputError: it does not verify any more.
    """
    with atomic_folder(target) as temporary:
        for name in (*FILES, MANIFEST):
            shutil.copyfile(folder / name, temporary / name)
        manifest.verify(temporary)


def _fetch(place: Remote, expected: str | None, progress: Progress) -> Path:
    root = cache_folder()
    if root is None:
        raise InputError(f"{place.address}: RECSYS_CACHE is empty; set it to a folder that keeps downloads.")
    root = root / "checkpoints"
    note = root / "addresses" / f"{hashlib.sha256(place.address.encode()).hexdigest()}.json"
    known = expected or (_noted(note) if place.fixed else None)
    if known and (found := _kept(root / known)):
        return found
    try:
        with _arriving(root) as arrived:
            progress(f"asking {place.address}")
            place.manifest(arrived, progress)
            wanted = manifest.read(arrived)
            digest = sha256(arrived / MANIFEST)
            if expected is not None and digest != expected:
                raise InputError(f"{place.address}: another checkpoint than the one that is listed; it is not taken.")
            folder = _kept(root / digest)
            folder = folder or _download(place, wanted, arrived / MANIFEST, root / digest, progress)
    except Unreachable:
        earlier = _kept(root / (expected or _noted(note) or "nothing"))
        if earlier is None:
            raise
        progress(f"{place.address} does not answer; this is what it gave before")
        return earlier
    with atomic_file(note) as file:
        file.write_text(json.dumps({"address": place.address, "manifest_sha256": digest}) + "\n", "utf-8")
    return folder


def _download(
    place: Remote, wanted: dict[str, manifest.Entry], arrived: Path, folder: Path, progress: Progress
) -> Path:
    """Fetch every file into `folder`; several processes take turns, and what one has finished serves the others."""
    part = folder.with_name(f".{folder.name}.part")
    with _turn(folder.with_name(f".{folder.name}.lock"), progress), _room(part):
        if found := _kept(folder):
            return found
        part.mkdir(exist_ok=True)
        missing = sum(entry.size for name, entry in wanted.items() if not (part / name).exists())
        if missing + _SPARE > (free := shutil.disk_usage(part).free):
            raise InputError(
                f"{folder.parent}: {missing / 1e6:,.0f} MB are to come, and {free / 1e6:,.0f} MB are free."
            )
        shutil.copyfile(arrived, part / MANIFEST)
        for name, entry in wanted.items():
            if not _whole(part / name, entry):
                progress(f"fetching {name}, {entry.size / 1e6:,.1f} MB")
                place.file(name, entry, part, progress)
            if not _whole(part / name, entry):
                (part / name).unlink(missing_ok=True)
                raise InputError(
                    f"{place.address}: {name} arrived damaged, its sha256 is not the one in {MANIFEST}; it is not kept."
                )
        with atomic_folder(folder) as temporary:
            for name in (*FILES, MANIFEST):
                (part / name).replace(temporary / name)
        shutil.rmtree(part, ignore_errors=True)
    return folder


@contextmanager
def _turn(file: Path, progress: Progress) -> Iterator[None]:
    """Be the only process that has this lock; it falls open when its holder dies."""
    from filelock import FileLock, Timeout

    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("another process is fetching it; waiting")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _room(part: Path) -> Iterator[None]:
    """Say of a full disk that it is full, and give back what the unfinished download has taken of it."""
    try:
        yield
    except (OSError, InputError) as error:
        reason = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(reason, OSError) or reason.errno not in DISK_FULL:
            raise
        shutil.rmtree(part, ignore_errors=True)
        raise InputError(
            f"{part.parent}: the disk is full ({brief(reason)}); nothing of the download is kept."
        ) from error


@contextmanager
def _arriving(root: Path) -> Iterator[Path]:
    """An empty folder in the cache that goes again.

    Raises:
        InputError: the cache cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".arriving.", dir=root))
    except OSError as error:
        reason = f"downloads cannot be kept there ({error.strerror}); set RECSYS_CACHE to a folder that can be written"
        raise InputError(f"{root}: {reason}.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _whole(file: Path, entry: manifest.Entry) -> bool:
    if file.is_symlink():
        file.unlink()
    return file.is_file() and manifest.agrees(file, entry)


def _kept(folder: Path) -> Path | None:
    """The folder, if a checkpoint lies there that is whole and the one that its name says."""
    try:
        manifest.verify(folder)
        return folder if sha256(folder / MANIFEST) == folder.name else None
    except InputError:
        return None


def _noted(note: Path) -> str | None:
    try:
        digest = json.loads(note.read_text("utf-8"))["manifest_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return digest if isinstance(digest, str) and registry.DIGEST.fullmatch(digest) else None
