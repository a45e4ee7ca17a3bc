"""Trained models as folders that anyone can check and load without running foreign code."""

from recsys.checkpoints.folder import FILES, Checkpoint, load, save, verify

__all__ = ["FILES", "Checkpoint", "load", "save", "verify"]
