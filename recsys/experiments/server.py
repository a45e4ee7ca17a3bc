"""Runs of a project on a wandb server, by wandb's own client."""

import re
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from recsys.errors import InputError
from recsys.experiments.folders import find_runs
from recsys.experiments.logged import FILES, Logged, run_of
from recsys.experiments.runs import Run, State
from recsys.experiments.uploads import NAME, Upload
from recsys.wandb_server import address, obstacle

PROJECT = re.compile(r"[\w.-]+/[\w.-]+(/[\w.-]+)?")
STATES: dict[str, State] = {"finished": "finished", "failed": "failed"}
"""Everything else, from running to crashed, has not said how it ended."""
PATIENCE = 15.0
"""Seconds without a further run after which a server is given up."""
PAGE = 100
"""Runs that are asked for at a time."""


def read_runs(names: Sequence[str]) -> list[Run]:
    """The runs of folders, and of projects on wandb's server where there is no folder of that name.

    Raises:
        InputError: there is neither, a folder holds no run, or the server cannot be used.
    """
    found: dict[Path, Run] = {}
    for name in names:
        remote = not Path(name).exists() and PROJECT.fullmatch(name)
        for run in read_project(name) if remote else find_runs([Path(name)]):
            found[run.folder] = run
    return list(found.values())


def read_project(path: str, patience: float = PATIENCE) -> list[Run]:
    """The runs of ENTITY/PROJECT, or the one of ENTITY/PROJECT/RUN_ID.

    Fit and test of a run of ours, which log on their own, are one; the id of either stands for it.

    Raises:
        InputError: no such project or run, no key, or a server that does not answer in time or not as wandb's does.
    """
    found = obstacle()
    if found is not None:
        raise InputError(f"{path}: no such folder, and no project to look up: {found}.")
    reader = _Reader(path)
    reader.start()
    while reader.is_alive():
        reader.join(0.05)
        if time.monotonic() - reader.latest > patience:
            raise InputError(f"{path}: wandb's server has not answered for {patience:.0f} s; try again later.")
    if reader.error is not None:
        raise InputError(
            f"{path}: wandb's server says: {' '.join(str(reader.error).split()).rstrip('.')}."
        ) from reader.error
    if not reader.found:
        raise InputError(f"{path}: a project without runs.")
    parts: dict[str, list[str]] = {}
    for run_id, (_, logged) in reader.found.items():
        parts.setdefault(logged.name if logged.ours else run_id, []).append(run_id)
    project = Path(*path.split("/")[:2])
    return [_run(project / name, [reader.found[run_id] for run_id in ids]) for name, ids in parts.items()]


def _run(folder: Path, parts: Sequence[tuple[Any, Logged]]) -> Run:
    """What the parts are of, with what the latest test has uploaded."""
    run = run_of(folder, [logged for _, logged in parts])
    tests = [(run, logged) for run, logged in parts if logged.ours and any(map(_is_result, logged.summary))]
    if not tests:
        return run
    test, logged = max(tests, key=lambda each: each[1].started)
    return replace(run, upload=Upload(test, address(), _files(logged.summary.get(FILES))))


def _is_result(name: str) -> bool:
    return name.startswith("test/")


def _files(logged: Any) -> dict[str, str]:
    """By name their sha256; nothing where a run says none, or something else."""
    pairs = [pair for pair in logged if isinstance(pair, list) and len(pair) == 2] if isinstance(logged, list) else []
    return {str(name): str(digest) for name, digest in pairs if NAME.fullmatch(str(name))}


class _Reader(threading.Thread):
    """Reads in the background, as the client tries again and again for longer than anyone waits."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.found: dict[str, tuple[Any, Logged]] = {}
        self.error: Exception | None = None
        self.latest = time.monotonic()
        """When the server was last heard of."""

    def run(self) -> None:
        """Read all pages."""
        try:
            for run in self._runs():
                self.found[run.id] = run, _logged(run)
                self.latest = time.monotonic()
        except Exception as error:  # of whichever of its libraries
            self.error = error

    def _runs(self) -> Iterable[Any]:
        import wandb

        api, project = wandb.Api(timeout=10), "/".join(self.path.split("/")[:2])
        if project == self.path:
            return api.runs(project, per_page=PAGE, **_at_once(wandb.Api))
        one = api.run(self.path)
        if not _logged(one).ours:
            return [one]
        return api.runs(project, filters={"display_name": one.name}, per_page=PAGE, **_at_once(wandb.Api))


def _at_once(api: Any) -> dict[str, bool]:
    """Newer clients would fetch every configuration by a question of its own."""
    import inspect

    return {"lazy": False} if "lazy" in inspect.signature(api.runs).parameters else {}


def _logged(run: Any) -> Logged:
    started = datetime.fromisoformat(str(run.created_at).replace("Z", "+00:00")).timestamp()
    config = {key: value for key, value in run.config.items() if not key.startswith("_")}
    summary = dict(run.summary._json_dict)
    state = STATES.get(run.state, "unfinished")
    return Logged(run.name or run.id, config, summary, state, started, lambda: list(run.scan_history()))
