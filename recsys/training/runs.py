"""Where runs live: `runs/NAME/TIME/` holds a run's configuration, resumable state, exported checkpoint and results."""

import contextlib
import itertools
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import torch

from recsys.errors import InputError

CHECKPOINT = "checkpoint"
"""The exported checkpoint folder of a run."""
LAST = Path("checkpoints") / "last.ckpt"
"""Lightning's state for resuming."""


def new_run(root: Path, name: str) -> Path:
    """A folder for a new run; the processes that Lightning, torchrun or Ray start beside this one get the same."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():  # by Ray, or by the run before
        made = [str(_make(root, name)) if torch.distributed.get_rank() == 0 else None]
        torch.distributed.broadcast_object_list(made)
        return Path(str(made[0]))
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        return _agreed(lambda: _make(root, name))
    if int(os.environ.get("LOCAL_RANK", "0")) > 0 and "RECSYS_RUN_DIR" in os.environ:
        return Path(os.environ["RECSYS_RUN_DIR"])
    folder = _make(root, name)
    os.environ["RECSYS_RUN_DIR"] = str(folder)
    return folder


def _make(root: Path, name: str) -> Path:
    stem = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder, n = root / name / stem, 1
    while folder.exists():
        n += 1
        folder = root / name / f"{stem}-{n}"
    folder.mkdir(parents=True)
    return folder


def discard(folder: Path) -> None:
    """Take back a new run that was refused before it began, with the folder of its name if nothing else is in it."""
    shutil.rmtree(folder, ignore_errors=True)  # other processes of the run do the same
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


_turn = itertools.count()


def _agreed(make: Callable[[], Path]) -> Path:
    """What `make` gives in the first of torchrun's processes, told to the others through the store that it serves."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    store, key = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])), f"recsys/run/{next(_turn)}"
    if os.environ["RANK"] == "0":
        store.set(key, str(make()))
    return Path(store.get(key).decode())


def latest(root: Path, name: str, part: Path | str) -> Path | None:
    """The newest run of that name which has `part`."""
    found = sorted(run for run in (root / name).glob("*") if (run / part).exists())
    return found[-1] if found else None


def trained(root: Path, name: str) -> Path:
    """The exported checkpoint of the newest finished run of that name.

    Raises:
        InputError: there is none.
    """
    run = latest(root, name, CHECKPOINT)
    if run is None:
        raise InputError(f"{root / name}: no finished run. Train it first (recsys fit), or name a checkpoint folder.")
    return run / CHECKPOINT
