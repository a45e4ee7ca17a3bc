"""A small checkpoint, and what tests do to its files."""

import json
from pathlib import Path

import numpy as np
import torch

from recsys import checkpoints
from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint
from recsys.files import sha256
from recsys.models import SASRec

SIX = {*checkpoints.FILES, "manifest.json"}
WEIGHTS = "model.safetensors"


def write(folder: Path, n_items: int = 300, dim: int = 8, licence: str = "CC0-1.0") -> Path:
    """A SASRec of random weights."""
    torch.manual_seed(0)
    network = SASRec(n_items, 5, dim, 1, 2, 8)
    items = Vocabulary([f"n{i}" for i in range(1, n_items)])
    data = {"name": "tiny", "licence": licence}
    metrics, intervals = {"test/ndcg@10": 0.25, "test/ndcg@5": 0.125}, {"test/ndcg@10": (0.2, 0.3)}
    checkpoints.save(Checkpoint(network, items, np.arange(n_items), data, metrics, intervals), folder)
    return folder


def agree(folder: Path, name: str) -> None:
    """Make the manifest agree with a file that was changed, as somebody would who means it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[name] = {"sha256": sha256(folder / name), "size": (folder / name).stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(manifest))
