"""Trials of a sweep as processes: each a `recsys fit` in a folder of its own, on a device of its own."""

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from recsys.errors import InputError

SCORES, LOG, CONFIG = "scores.csv", "log.txt", "config.yaml"
GRACE = 20
"""Seconds that a process which is told to end may take for it."""


def visible(named: str | None, count: int) -> list[str]:
    """The GPUs that can be used, by the names that CUDA_VISIBLE_DEVICES takes.

    Args:
        named: what it holds now, ordinals or UUIDs; None where it is not set.
        count: how many of them CUDA finds, which looks no further than the first that is not there, and at one of MIG's
            instances, however many are named.
    """
    if named is None:
        return [str(i) for i in range(count)]
    names = [name.strip() for name in named.split(",")]
    return names if count and named.startswith("MIG-") else names[:count]


def slots(jobs: int | None, devices: Sequence[str], cores: int, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """What each of the trials that run at once finds in its environment: a GPU, and its share of the cores.

    Without `jobs`, one trial at a time for each device, or one where there is none.
    """
    number = jobs or len(devices) or 1
    shared = number > 1 and "OMP_NUM_THREADS" not in environment
    threads = {"OMP_NUM_THREADS": str(max(1, cores // number))} if shared else {}
    gpus = [{"CUDA_VISIBLE_DEVICES": devices[i % len(devices)]} if devices else {} for i in range(number)]
    return [gpu | threads for gpu in gpus]


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep the folder from a second sweep.

    Raises:
        InputError: it is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        if not _locked(file):
            raise InputError(f"{folder}: another process is running this sweep.")
        yield


@dataclass
class Trial:
    """A fit that runs, or that still has to.

    Its log is locked, by the process that writes it: a fit that outlives a killed sweep is found to be still at work.
    """

    folder: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    """Added to that of the sweep."""
    monitor: str
    child: subprocess.Popen | None = field(default=None, init=False)
    read: int = field(default=0, init=False)
    """Scores that have been asked for."""
    told: bool = field(default=False, init=False)
    """That it shall end."""

    def poll(self) -> bool:
        """Start it unless it runs; True when it has come to its end, well or not."""
        if self.child is not None:
            return self.child.poll() is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            if not _locked(log):
                return False  # at work since before the sweep was killed
            if self.value() is not None:
                return True
            self.child = subprocess.Popen(
                self.command, env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return False

    @property
    def code(self) -> int:
        """Exit code of the process that has ended; 0 where another sweep had started it."""
        return 0 if self.child is None else self.child.wait()

    def value(self) -> float | None:
        """The validation metric of the weights that it has exported."""
        found = sorted(self.folder.glob("*/checkpoint/metrics.json"))
        value = json.loads(found[-1].read_text("utf-8"))["metrics"].get(self.monitor) if found else None
        return None if value is None else float(value)

    def scores(self) -> list[tuple[int, float]]:
        """Epoch and value of each validation that was not told before."""
        path = self.folder / SCORES
        lines = path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else []
        whole = [line.split(",") for line in lines if line.endswith("\n")]
        new, self.read = whole[self.read :], len(whole)
        return [(int(epoch), float(value)) for epoch, value in new]

    def stop(self) -> None:
        """Tell it to end."""
        if self.child is not None and self.child.poll() is None and not self.told:
            self.child.send_signal(signal.SIGTERM)
            self.told = True

    def end(self) -> None:
        """Have it end, by force if it does not."""
        if self.child is None:
            return
        self.stop()
        try:
            self.child.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
