"""Runs as `recsys fit` and `recsys test` leave them in their folders."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from recsys.errors import InputError
from recsys.experiments.runs import Run, State, flat

RESULT, FACTS, CHECKPOINT = "test.json", "run.json", "checkpoint"
CONFIGS = ("config.yaml", "config.test.yaml")
"""The configuration of the fit; of the test, where the run fits nothing."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where it is built: hundreds of runs are read at once


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """Every run at or below the folders, tested or not.

    Raises:
        InputError: a folder is missing, or holds no run.
    """
    runs: dict[Path, Run] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder.")
        found = {place: read_run(place) for place in places(folder)}
        if not found:
            raise InputError(f"{folder}: no run. `recsys fit` and `recsys test` write what is compared.")
        runs |= found
    return list(runs.values())


def places(root: Path) -> Iterator[Path]:
    """The folders of runs at or below `root`."""
    marks = {file.parent for name in (RESULT, *CONFIGS) for file in root.rglob(name)}
    yield from sorted(folder for folder in marks if (folder / RESULT).is_file() or _config(folder))


def read_run(folder: Path) -> Run:
    """One run from its folder.

    Raises:
        InputError: a file is not what a run writes.
    """
    result, said, config = _json(folder / RESULT), _json(folder / FACTS), _config(folder)
    exported = _json(folder / CHECKPOINT / "config.json")
    data = exported.get("data", {})
    measured = _json(folder / CHECKPOINT / "metrics.json") | result.get("metrics", {})
    ends = {name: (ends[0], ends[1]) for name, ends in result.get("intervals", {}).items() if None not in ends}
    return Run(
        folder=folder,
        model=result.get("model") or said.get("model") or exported.get("model") or "",
        data=result.get("data") or said.get("data") or data.get("name") or "",
        fingerprint=result.get("data_fingerprint") or said.get("data_fingerprint") or data.get("fingerprint") or "",
        protocol=result.get("protocol", {}),
        metrics={name: value for name, value in measured.items() if isinstance(value, int | float)},
        protocols=result.get("protocols", {}),
        intervals=ends,
        slices=result.get("slices", {}),
        catalogue=result.get("catalogue", {}),
        config=flat(config),
        facts=said,
        state=_state(folder, said),
        name=f"{folder.parent.name}/{folder.name}",
    )


def _state(folder: Path, said: dict[str, Any]) -> State:
    if "state" in said:
        return said["state"]
    done = (folder / CHECKPOINT).is_dir() or (folder / RESULT).is_file()
    return "finished" if done else "unfinished"


def _config(folder: Path) -> dict[str, Any]:
    """The resolved configuration; nothing where there is none, or another program's."""
    for name in CONFIGS:
        file = folder / name
        if file.is_file():
            try:
                content = yaml.load(file.read_text("utf-8"), _Loader)
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                raise InputError(f"{file}: not YAML ({' '.join(str(error).split())}).") from error
            if isinstance(content, dict) and {"model", "data", "trainer"} <= content.keys():
                return content
    return {}


def _json(file: Path) -> dict[str, Any]:
    """The object in a file; nothing where there is no file."""
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: not a JSON object.")
    return content
