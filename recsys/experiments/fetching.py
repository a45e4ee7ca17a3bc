"""What tests have left on a server, for several runs at once, and no longer than anyone waits."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from recsys.errors import InputError
from recsys.experiments.folders import tested
from recsys.experiments.runs import Run
from recsys.experiments.uploads import Upload

AT_ONCE = 4
"""Runs that are fetched at a time."""
PATIENCE = 15.0
"""Seconds without a further byte after which a server is given up."""
BUDGET = 120.0
"""Seconds for all runs together; what has arrived is kept, and the next comparison fetches more."""
SHOWN = 3
"""Names in a sentence."""


def fetched(
    runs: Sequence[Run], metrics: Sequence[str], progress: Callable[[str], None]
) -> tuple[list[Run], list[str]]:
    """The runs, those with one of the metrics in their test with its files, and a sentence for each reason against it.

    A run whose files cannot be had is as it was, without values per request.
    """
    wanted = {
        run.folder: run.upload
        for run in runs
        if run.upload is not None and any(f"test/{name}" in run.metrics for name in metrics)
    }
    arrived = _fetch(wanted, progress) if wanted else {}
    why: dict[str, list[str]] = {}
    found = []
    for run in runs:
        came = arrived.get(run.folder)
        if isinstance(came, Path):
            run = replace(tested(run, came), upload=None, files=came)
        elif came is not None:
            why.setdefault(came, []).append(run.name)
            run = replace(run, upload=None)
        found.append(run)
    return found, [_note(names, reason) for reason, names in why.items()]


def _note(names: Sequence[str], reason: str) -> str:
    more = len(names) - SHOWN
    named = ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")
    return f"{named}: without values per request, so that nothing is paired with them: {reason}."


def _fetch(wanted: dict[Path, Upload], progress: Callable[[str], None]) -> dict[Path, Path | str]:
    """By run its folder, or why there is none."""
    crew = _Crew(wanted)
    began = latest = time.monotonic()
    heard, said = 0, False
    while crew.busy:
        time.sleep(0.05)
        now = time.monotonic()
        if not said and now - began > 1:
            progress(f"Fetching values per request of {len(wanted):,} runs")
            said = True
        if crew.heard != heard:
            heard, latest = crew.heard, now
        if now - latest > PATIENCE or now - began > BUDGET:
            crew.left.clear()
            why = f"has not answered for {PATIENCE:.0f} s" if now - latest > PATIENCE else "takes too long"
            return dict.fromkeys(wanted, f"wandb's server {why}") | crew.found
    return crew.found


class _Crew:
    """Threads that fetch; the process does not wait for them at its end, as the client tries for minutes."""

    def __init__(self, wanted: dict[Path, Upload]) -> None:
        self.wanted, self.left = wanted, deque(wanted)
        self.found: dict[Path, Path | str] = {}
        self.answers = 0
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(AT_ONCE, len(wanted)))]
        for thread in self.threads:
            thread.start()

    @property
    def busy(self) -> bool:
        """Whether any is still at it."""
        return any(thread.is_alive() for thread in self.threads)

    @property
    def heard(self) -> int:
        """What changes whenever the server has given something."""
        return self.answers + sum(_bytes(upload) for name, upload in self.wanted.items() if name not in self.found)

    def _work(self) -> None:
        while self.left:
            try:
                name = self.left.popleft()
            except IndexError:
                return
            try:
                self.found[name] = self.wanted[name].fetch()
                self.answers += 1
            except InputError as error:  # which is an answer too
                self.found[name] = str(error)
                self.answers += 1
            except Exception as error:  # of whichever of the client's libraries
                said = " ".join(str(error).split()).partition("{")[0][:200]  # and not the whole of an answer
                self.found[name] = f"wandb's server says: {said.rstrip(' :.')}"


def _bytes(upload: Upload) -> int:
    """That have arrived so far."""
    try:
        return sum(file.stat().st_size for file in upload.root.rglob("*") if file.is_file())
    except (InputError, OSError):
        return 0
