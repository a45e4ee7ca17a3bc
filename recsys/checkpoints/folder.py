"""One checkpoint = one folder of six files: weights, configuration, vocabulary, metrics, model card, manifest.

Nothing in it is pickled or packed: no byte of it can run, and none unfolds into more. `manifest.json` holds size and
sha256 of the other five, and nothing is read before it agrees.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from recsys import atomic
from recsys.atomic import Vocabulary
from recsys.checkpoints import manifest
from recsys.checkpoints.build import build
from recsys.checkpoints.card import model_card
from recsys.checkpoints.manifest import brief, read_json, verify
from recsys.errors import InputError
from recsys.files import atomic_folder
from recsys.models import Model

FORMAT = 2
WEIGHTS, ITEMS = "model.safetensors", "items.tsv"
_COLUMNS = {"item_id": "token", "popularity": "float"}
_MOST_CLICKS = float(1 << 53)


@dataclass(frozen=True)
class Checkpoint:
    """A model with everything that it needs to recommend, and what is known about it."""

    network: Model
    items: Vocabulary
    popularity: np.ndarray
    """Training clicks per item `[items]`, 0 for padding."""
    data: dict[str, Any]
    """Name, fingerprint, licence and protocol of the data that the model was trained on."""
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Ends of the 95 % intervals of those metrics that have one."""


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the six files; an older checkpoint at `folder` is replaced only when all are complete.

    Raises:
        InputError: an item id holding a tab or line break.
    """
    network = checkpoint.network
    config = {
        "format": FORMAT,
        "model": type(network).__name__,
        "hyperparameters": network.hyperparameters,
        "items_sha256": checkpoint.items.sha256,
        "data": checkpoint.data,
        "versions": {name: _version(name) for name in ("recsys-zoo", "torch", "recbole")},
    }
    items = pl.DataFrame({"item_id": list(checkpoint.items.tokens), "popularity": checkpoint.popularity[1:]})
    measured = {"metrics": checkpoint.metrics, "intervals": checkpoint.intervals}
    card = model_card(config, len(items), checkpoint.metrics, checkpoint.intervals)
    with atomic_folder(folder) as temporary:
        safetensors.torch.save_file(weights_of(network), temporary / WEIGHTS)
        (temporary / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
        atomic.write(items, temporary / ITEMS, _COLUMNS)
        (temporary / "metrics.json").write_text(json.dumps(measured, indent=2) + "\n", "utf-8")
        (temporary / "README.md").write_text(card, "utf-8")
        manifest.write(temporary)


def weights_of(network: Model) -> dict[str, Tensor]:
    """The state on the CPU; a tensor with two names is written twice, as safetensors has no way to say so."""
    weights: dict[str, Tensor] = {}
    written: set[int] = set()
    for name, tensor in network.state_dict().items():
        weights[name] = tensor.detach().cpu().contiguous()
        if tensor.data_ptr() in written:
            weights[name] = weights[name].clone()
        written.add(tensor.data_ptr())
    return weights


def weights_sha256(network: Model) -> str:
    """The sha256 of the file that `save` writes the weights to: whether two things are said of the same weights."""
    return hashlib.sha256(safetensors.torch.save(weights_of(network))).hexdigest()


def load(folder: Path) -> Checkpoint:
    """Verify and load a checkpoint folder, on the CPU, in evaluation mode.

    Raises:
        InputError: damaged or foreign files, or parts that do not fit each other.
    """
    verify(folder)
    config = read_json(folder / "config.json")
    if config.get("format") != FORMAT:
        raise InputError(
            f"{folder / 'config.json'}: format {config.get('format')!r:.40}, this version reads {FORMAT}. Export it "
            "again from the run's .ckpt file: recsys export"
        )
    items, popularity = _items(folder / ITEMS)
    if items.sha256 != config.get("items_sha256"):
        raise InputError(f"{folder / ITEMS}: not the vocabulary that config.json names.")
    network = _network(folder, config)
    if network.n_items != len(items):
        raise InputError(f"{folder / ITEMS}: {len(items) - 1} items, but the model has {network.n_items - 1}.")
    metrics, intervals = _measured(folder / "metrics.json")
    data = config.get("data")
    if not isinstance(data, dict):
        raise InputError(f"{folder / 'config.json'}: data is no table of names and values.")
    return Checkpoint(network.eval(), items, popularity, data, metrics, intervals)


def _network(folder: Path, config: dict[str, Any]) -> Model:
    file = folder / WEIGHTS
    foreign = f"{file}: not the weights of the model in config.json"
    try:
        with safe_open(file, "pt") as opened:
            numbers = sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{foreign}, nor any in the format of safetensors ({brief(error)}).") from error
    network = build(folder / "config.json", config, numbers)
    try:
        weights = safetensors.torch.load_file(file)
        return fill(network, weights)
    except (SafetensorError, RuntimeError, TypeError) as error:
        raise InputError(f"{foreign} ({brief(error)}).") from error


def fill(network: Model, weights: Mapping[str, Tensor]) -> Model:
    """Put `weights` into the network, in the precision that they have.

    Raises:
        RuntimeError, TypeError: they are not this network's.
    """
    precisions = {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()}
    if len(precisions) == 1:
        network.to(precisions.pop())
    own = network.state_dict()
    for name, tensor in weights.items():
        if name in own and own[name].dtype != tensor.dtype:
            raise TypeError(f"{name[:80]!r} is {tensor.dtype} instead of {own[name].dtype}")
    network.load_state_dict(weights)
    return network


def _items(path: Path) -> tuple[Vocabulary, np.ndarray]:
    """The ids, and the clicks of each, 0 for padding `[items]`."""
    try:
        frame = atomic.read(path, list(_COLUMNS))
    except (pl.exceptions.PolarsError, InputError) as error:
        raise InputError(f"{path}: not a table of item_id and popularity ({brief(error)}).") from error
    clicks = frame["popularity"]
    if (frame["item_id"] == "").any() or not frame["item_id"].is_unique().all():
        raise InputError(f"{path}: an item_id is empty, or stands there twice.")
    if not (clicks.is_between(0, _MOST_CLICKS) & (clicks == clicks.floor())).fill_null(False).all():
        raise InputError(f"{path}: a popularity is no number of clicks.")
    return Vocabulary(frame["item_id"].to_list()), np.concatenate([[0], clicks.cast(pl.Int64).to_numpy()])


def _measured(path: Path) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    content = read_json(path)
    metrics, intervals = content.get("metrics"), content.get("intervals")
    if not isinstance(metrics, dict) or not all(_number(value) for value in metrics.values()):
        raise InputError(f"{path}: metrics is no table of names and numbers.")
    if not isinstance(intervals, dict) or not all(_interval(ends) for ends in intervals.values()):
        raise InputError(f"{path}: intervals is no table of names and pairs of numbers.")
    return metrics, {name: (ends[0], ends[1]) for name, ends in intervals.items()}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _interval(ends: Any) -> bool:
    return isinstance(ends, list) and len(ends) == 2 and all(_number(end) for end in ends)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
