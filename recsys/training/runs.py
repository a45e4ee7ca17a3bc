"""Where runs live: `runs/NAME/TIME/` holds a run's configuration, resumable state, exported checkpoint and results."""

import os
from datetime import datetime
from pathlib import Path

from recsys.errors import InputError

CHECKPOINT = "checkpoint"
"""The exported checkpoint folder of a run."""
LAST = Path("checkpoints") / "last.ckpt"
"""Lightning's state for resuming."""


def new_run(root: Path, name: str) -> Path:
    """A folder for a new run; the processes that Lightning starts beside this one get the same."""
    if int(os.environ.get("LOCAL_RANK", "0")) > 0 and "RECSYS_RUN_DIR" in os.environ:
        return Path(os.environ["RECSYS_RUN_DIR"])
    stem = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder, n = root / name / stem, 1
    while folder.exists():
        n += 1
        folder = root / name / f"{stem}-{n}"
    folder.mkdir(parents=True)
    os.environ["RECSYS_RUN_DIR"] = str(folder)
    return folder


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
