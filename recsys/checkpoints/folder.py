"""One checkpoint = one folder of six files: weights, configuration, vocabulary, metrics, model card, manifest.

Nothing in it is pickled. `manifest.json` holds size and sha256 of the other five, and nothing is read before it agrees.
"""

import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from recsys import models
from recsys.atomic import Vocabulary
from recsys.checkpoints.card import model_card
from recsys.errors import InputError, did_you_mean
from recsys.files import atomic_folder, sha256
from recsys.models import Model

FORMAT = 1
FILES = ("model.safetensors", "config.json", "items.parquet", "metrics.json", "README.md")


@dataclass(frozen=True)
class Checkpoint:
    """A model with everything that it needs to recommend, and what is known about it."""

    network: Model
    items: Vocabulary
    popularity: np.ndarray
    """Training clicks per item `[items]`, 0 for padding."""
    data: dict[str, Any]
    """Name, fingerprint and protocol of the data that the model was trained on."""
    metrics: dict[str, float]


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the six files; an older checkpoint at `folder` is replaced only when all are complete."""
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
    weights = _weights(network)
    with atomic_folder(folder) as temporary:
        safetensors.torch.save_file(weights, temporary / "model.safetensors")
        (temporary / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
        items.write_parquet(temporary / "items.parquet")
        (temporary / "metrics.json").write_text(json.dumps(checkpoint.metrics, indent=2) + "\n", "utf-8")
        (temporary / "README.md").write_text(model_card(config, len(items), checkpoint.metrics), "utf-8")
        manifest = {
            name: {"sha256": sha256(temporary / name), "size": (temporary / name).stat().st_size} for name in FILES
        }
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


def _weights(network: Model) -> dict[str, Tensor]:
    """The state on the CPU; a tensor with two names is written twice, as safetensors has no way to say so."""
    weights: dict[str, Tensor] = {}
    written: set[int] = set()
    for name, tensor in network.state_dict().items():
        weights[name] = tensor.detach().cpu().contiguous()
        if tensor.data_ptr() in written:
            weights[name] = weights[name].clone()
        written.add(tensor.data_ptr())
    return weights


def verify(folder: Path) -> None:
    """Compare every file with the manifest.

    Raises:
        InputError: a file is missing, or its size or content is not what the manifest says.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such checkpoint folder.")
    manifest = _json(folder / "manifest.json")
    for name in FILES:
        entry, file = manifest.get(name), folder / name
        if not isinstance(entry, dict) or not {"sha256", "size"} <= entry.keys():
            raise InputError(f"{folder / 'manifest.json'}: no entry with sha256 and size for {name}.")
        if not file.is_file() or file.is_symlink():
            raise InputError(f"{file}: missing from the checkpoint, or not a plain file.")
        if file.stat().st_size != entry["size"] or sha256(file) != entry["sha256"]:
            raise InputError(
                f"{file}: damaged, its content is not what manifest.json says. Download or export it again."
            )


def load(folder: Path) -> Checkpoint:
    """Verify and load a checkpoint folder, on the CPU, in evaluation mode.

    Raises:
        InputError: damaged or foreign files, or parts that do not fit each other.
    """
    verify(folder)
    config = _json(folder / "config.json")
    if config.get("format") != FORMAT:
        raise InputError(f"{folder / 'config.json'}: format {config.get('format')!r}, this version reads {FORMAT}.")
    items = _items(folder / "items.parquet")
    vocabulary = Vocabulary(items["item_id"].to_list())
    if vocabulary.sha256 != config.get("items_sha256"):
        raise InputError(f"{folder / 'items.parquet'}: not the vocabulary that config.json names.")
    network = _build(folder, config)
    try:
        network.load_state_dict(safetensors.torch.load_file(folder / "model.safetensors"))
    except (SafetensorError, RuntimeError) as error:
        raise InputError(
            f"{folder / 'model.safetensors'}: not the weights of the model in config.json ({error})."
        ) from error
    if network.n_items != len(vocabulary):
        raise InputError(f"{folder / 'items.parquet'}: {len(items)} items, but the model has {network.n_items - 1}.")
    return Checkpoint(
        network=network.eval(),
        items=vocabulary,
        popularity=np.concatenate([[0], items["popularity"].to_numpy()]),
        data=config.get("data", {}),
        metrics=_json(folder / "metrics.json"),
    )


def _build(folder: Path, config: dict[str, Any]) -> Model:
    name = config.get("model")
    known = {n for n in models.__all__ if issubclass(getattr(models, n), Model) and n != "Model"}
    if not isinstance(name, str) or name not in known:
        raise InputError(f"{folder / 'config.json'}: unknown model {name!r}.{did_you_mean(str(name), known)}")
    try:
        network: Model = getattr(models, name)(**config.get("hyperparameters", {}))
    except (TypeError, ValueError, RuntimeError, ArithmeticError, IndexError) as error:
        raise InputError(f"{folder / 'config.json'}: these are no hyperparameters of {name} ({error}).") from error
    return network


def _items(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=["item_id", "popularity"])
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path}: not a table of item_id and popularity ({error}).") from error


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: missing from the checkpoint.")
    try:
        content = json.loads(path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a JSON object.")
    return content


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
