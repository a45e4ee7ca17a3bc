"""A checkpoint with all that is known of it: weights from a run, figures from its test, the licence of its data."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from recsys.checkpoints import lightning
from recsys.checkpoints.card import BASELINES
from recsys.checkpoints.folder import Checkpoint, load, weights_sha256
from recsys.errors import InputError

RESULTS = "test.json"


def export(source: Path, results: Path | None = None, licence: str | None = None) -> Checkpoint:
    """The checkpoint in a folder or a `.ckpt` file, with metrics, intervals and protocols of a test, and a licence.

    Without `results`, the test of the run that `source` lies in is taken if it was one of these very weights.

    Raises:
        InputError: `source` is no checkpoint; `results` is nothing that `recsys test` writes, or of other weights.
    """
    checkpoint = load(source) if source.is_dir() else lightning.read(source)
    run = source.absolute().parent
    tests = [results] if results else [file for file in (run / RESULTS, run.parent / RESULTS) if file.is_file()][:1]
    data = checkpoint.data | ({"licence": licence} if licence else {})
    for file in tests:
        tested = _tested(file)
        if tested.get("weights_sha256") == weights_sha256(checkpoint.network):
            return _measured(replace(checkpoint, data=data), tested, file)
        if results:
            raise InputError(f"{file}: measured of other weights than these; test them: recsys test --ckpt_path FILE")
    return replace(checkpoint, data=data)


def _measured(checkpoint: Checkpoint, tested: dict[str, Any], file: Path) -> Checkpoint:
    try:
        facts = {key: tested[key] for key in ("protocols", "requests", "users")}
        ends = {
            name: (low, high) for name, (low, high) in tested["intervals"].items() if _kept(name) and low is not None
        }
        metrics = {name: value for name, value in tested["metrics"].items() if _kept(name)}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file}: not what `recsys test` writes ({error!r}).") from error
    return replace(checkpoint, data=checkpoint.data | facts, metrics=checkpoint.metrics | metrics, intervals=ends)


def _kept(name: str) -> bool:
    """The model's own metrics and those of the most popular items; what else was ranked beside it stays in the run."""
    ranker = name.partition("/")[2]
    return ranker.startswith("popular/") or not ranker.startswith(BASELINES)


def _tested(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not what `recsys test` writes ({error}).") from error
    return content if isinstance(content, dict) else {}
