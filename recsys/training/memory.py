"""Freed memory goes back to the system while a fit runs."""

import ctypes
import sys
from time import monotonic
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback


def return_memory() -> None:
    """Give the system what has been freed within glibc's heap; another heap is left alone."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


class ReturnMemory(Callback):
    """Returns freed memory every so often.

    Batches whose number of rows changes from step to step leave gaps in the heap that the next step's tensors do not
    fit: RecBole's networks with a row for each target held several times what a step needs after an hour on a CPU.

    Args:
        every: Seconds; a call costs some hundredths of one for each GB that is returned.
    """

    def __init__(self, every: float = 20.0) -> None:
        self.every = every
        self._returned = monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Once the step's own tensors are gone."""
        if monotonic() - self._returned >= self.every:
            return_memory()
            self._returned = monotonic()
