"""The validation metric after each validation, in a file that others read while the fit runs."""

from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from recsys.training.module import SequentialRecommender


class WriteScores(Callback):
    """Appends a line to a file after each validation: the epoch and the metric.

    Args:
        path: the file.
        monitor: the metric.
    """

    def __init__(self, path: str, monitor: str) -> None:
        self.path, self.monitor = Path(path), monitor

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Whole lines only: a reader takes the last one for unfinished until its end is there."""
        assert isinstance(pl_module, SequentialRecommender)
        if trainer.is_global_zero and not trainer.sanity_checking:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{trainer.current_epoch},{pl_module.scores[self.monitor]}\n")
