"""Trained models as folders that anyone can check and load without running foreign code."""

from recsys.checkpoints.folder import Checkpoint, load, save, weights_sha256
from recsys.checkpoints.manifest import FILES, verify
from recsys.checkpoints.sources import fetch

__all__ = ["FILES", "Checkpoint", "fetch", "load", "save", "verify", "weights_sha256"]
