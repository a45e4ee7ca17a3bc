"""Runs as they lie in folders: ours, exported checkpoints, and what wandb leaves without a server."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from recsys.errors import InputError
from recsys.experiments.logged import read_offline, run_of
from recsys.experiments.runs import Run, State, flat

RESULT, FACTS, CHECKPOINT = "test.json", "run.json", "checkpoint"
CONFIGS = ("config.yaml", "config.test.yaml")
"""The configuration of the fit; of the test, where the run fits nothing."""
RESOLVED = ("name", "runs", "model", "data", "trainer")
"""What a resolved configuration has, and hardly any other `config.yaml` that lies about."""
EXPORTED = {"manifest.json", "config.json", "metrics.json"}
"""Among the files of a checkpoint folder."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where it is built: hundreds of runs are read at once


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """Every run at or below the folders, tested or not: ours, exported checkpoints, and any offline run of wandb's.

    A folder within a run, and a `.wandb` file, stand for the run.

    Raises:
        InputError: a folder is missing, or holds no run.
    """
    runs: dict[Path, Run] = {}
    for folder in folders:
        if not folder.exists():
            raise InputError(f"{folder}: no such folder.")
        owner = next((place for place in (folder, *folder.parents[:4]) if _ours(place)), None)
        found = {owner: read_run(owner)} if owner is not None else dict(_below(folder))
        if not found:
            raise InputError(
                f"{folder}: no run. `recsys fit` and `recsys test` write what is compared, and wandb offline."
            )
        runs |= found
    return list(runs.values())


def _below(root: Path) -> Iterator[tuple[Path, Run]]:
    """Runs by where they lie; what lies within a run of ours belongs to it."""
    if root.is_file():
        if root.suffix == ".wandb":
            yield root.parent, run_of(root.parent, [read_offline(root)])
        return
    for place, folders, files in os.walk(root):
        folder = Path(place)
        folders.sort()
        logs = [folder / name for name in sorted(files) if name.endswith(".wandb")]
        if _ours(folder):
            folders.clear()
            yield folder, read_run(folder)
        elif files and set(files) >= EXPORTED:
            folders.clear()
            yield folder, read_checkpoint(folder)
        elif logs and not folder.is_symlink():
            yield folder, run_of(folder, [read_offline(log) for log in logs])


def read_run(folder: Path) -> Run:
    """One run of ours from its folder: from its log, then, as files say more than logs, from its files.

    Raises:
        InputError: a file is not what a run writes.
    """
    logged = run_of(folder, logs) if (logs := [*map(read_offline, _logs(folder))]) else None
    run, said = _exported(folder / CHECKPOINT, logged or _nothing(folder)), _json(folder / FACTS)
    own = {"model": said.get("model"), "data": said.get("data"), "fingerprint": said.get("data_fingerprint")}
    run = tested(replace(run, **{name: value for name, value in own.items() if value}), folder)
    return replace(
        run,
        config=flat(_config(folder)) or run.config,
        facts=run.facts | said,
        state=said.get("state") or (logged.state if logged else _state(folder)),
        name=f"{folder.parent.name}/{folder.name}",
    )


def tested(run: Run, folder: Path) -> Run:
    """The run with the results of its test, which lie in `folder`, where there are any.

    Raises:
        InputError: they are not what `recsys test` writes.
    """
    result = _json(folder / RESULT)
    ends = {name: (ends[0], ends[1]) for name, ends in result.get("intervals", {}).items() if None not in ends}
    return replace(
        run,
        model=result.get("model") or run.model,
        data=result.get("data") or run.data,
        fingerprint=result.get("data_fingerprint") or run.fingerprint,
        protocol=result.get("protocol", {}),
        metrics=run.metrics | _numbers(result.get("metrics", {})),
        protocols=run.protocols | result.get("protocols", {}),
        intervals=run.intervals | ends,
        slices=result.get("slices", {}),
        catalogue=result.get("catalogue", {}),
    )


def read_checkpoint(folder: Path) -> Run:
    """What an exported checkpoint says of the run that it comes from.

    Raises:
        InputError: a file is not what `recsys fit` exports.
    """
    return replace(_exported(folder, _nothing(folder)), name=folder.name, state="finished")


def _exported(folder: Path, run: Run) -> Run:
    exported = _json(folder / "config.json")
    if not exported:
        return run
    data = exported.get("data", {})
    network = {f"model.network.init_args.{name}": value for name, value in exported.get("hyperparameters", {}).items()}
    return replace(
        run,
        model=exported.get("model") or "",
        data=data.get("name") or "",
        fingerprint=data.get("fingerprint") or "",
        metrics=run.metrics | _numbers(_json(folder / "metrics.json").get("metrics", {})),
        facts=run.facts | ({"synthetic": True} if data.get("synthetic") else {}),
        config=run.config or {"model.network.class_path": exported.get("model"), **network},
    )


def _nothing(folder: Path) -> Run:
    return Run(folder=folder, model="", data="", fingerprint="", protocol={}, metrics={})


def _logs(folder: Path) -> list[Path]:
    """Those of the fit, each time that it was resumed, and of its tests."""
    return [log for log in sorted(folder.glob("wandb/*run-*/*.wandb")) if not log.parent.is_symlink()]


def _state(folder: Path) -> State:
    done = (folder / CHECKPOINT).is_dir() or (folder / RESULT).is_file()
    return "finished" if done else "unfinished"


def _ours(folder: Path) -> bool:
    """Whether it is the folder of a run of ours, by its result or by its resolved configuration."""
    if (folder / RESULT).is_file():
        return True
    texts = ["\n" + file.read_text("utf-8", "replace") for name in CONFIGS if (file := folder / name).is_file()]
    return any(all(f"\n{part}:" in text for part in RESOLVED) for text in texts)


def _config(folder: Path) -> dict[str, Any]:
    """The resolved configuration; nothing where there is none."""
    for name in CONFIGS:
        file = folder / name
        if file.is_file():
            try:
                content = yaml.load(file.read_text("utf-8"), _Loader)
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                raise InputError(f"{file}: not YAML ({' '.join(str(error).split())}).") from error
            return content if isinstance(content, dict) else {}
    return {}


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


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
