"""Trained models as folders that anyone can check and load without running foreign code."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from recsys.checkpoints.manifest import FILES, verify
from recsys.checkpoints.sources import fetch, published

if TYPE_CHECKING:
    from recsys.checkpoints.folder import Checkpoint, load, save, weights_sha256

__all__ = ["FILES", "Checkpoint", "fetch", "load", "published", "save", "verify", "weights_sha256"]


def __getattr__(name: str) -> Any:
    """Import what needs torch on first use: listing and downloading do without."""
    if name in __all__:
        return getattr(import_module("recsys.checkpoints.folder"), name)
    raise AttributeError(f"module 'recsys.checkpoints' has no attribute {name!r}")
