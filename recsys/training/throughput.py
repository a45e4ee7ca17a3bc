"""How fast a fit is and what it needs: logged after every epoch, and told in one line at the end."""

import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from recsys.data.batches import BatchLoader
from recsys.models import Batch


class Throughput(Callback):
    """Logs `throughput/…` of every training epoch, the validations in it not counted.

    Users are rows of batches: histories, or windows of long ones. Users and targets are those of all processes; waiting
    is the mean share of its time in which a process made batches, and memory the most that any of them has used.
    """

    def __init__(self) -> None:
        self._epoch = [0.0, 0.0, 0.0, 0.0]
        """Users, targets, seconds, and seconds of them spent making batches."""
        self._fit = torch.zeros(4, dtype=torch.float64)
        self._epochs = 0
        self._since: tuple[float, float] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, also where an epoch is gone on with that has started already."""
        self._start(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock before the first batch is made."""
        self._start(trainer)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, index: int) -> None:
        """Start it again after a validation in the middle of an epoch."""
        if self._since is None:
            self._start(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        """Count by shapes alone, so that nothing waits for the device before the epoch is over."""
        self._epoch[0] += len(batch.item)
        self._epoch[1] += len(batch.target_item)
        if index + 1 == trainer.num_training_batches:
            self._stop(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self._stop(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch."""
        self._stop(trainer)
        total = _over_processes(trainer, torch.tensor(self._epoch, dtype=torch.float64), "sum")
        total[2:] /= trainer.world_size
        self._fit += total
        self._epochs += 1
        rates = dict(zip(("users_per_second", "targets_per_second", "waiting_for_data"), _rates(total), strict=True))
        memory = {f"{name}_gb": size for name, size in self._memory(trainer).items()}
        for name, value in (rates | memory).items():
            pl_module.log(f"throughput/{name}", value, rank_zero_only=False)
        self._epoch = [0.0, 0.0, 0.0, 0.0]

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say it all in one line."""
        memory = self._memory(trainer)
        if trainer.is_global_zero and self._epochs:
            users, targets, waiting = _rates(self._fit)
            used = ", ".join(f"{name.replace('_', ' ')} {size:.2f} GB" for name, size in memory.items())
            print(
                f"Trained {self._epochs} epoch{'s' * (self._epochs > 1)} in {float(self._fit[2]):.1f} s: "
                f"{users:,.0f} users/s, {targets:,.0f} targets/s, {waiting:.1%} of the time waiting for data; {used}",
                file=sys.stderr,
            )

    def whole(self) -> dict[str, Any]:
        """Of all epochs: their number, their seconds, and the rates of `throughput/…`; nothing before the first."""
        if not self._epochs:
            return {}
        names = ("users_per_second", "targets_per_second", "waiting_for_data")
        rates = dict(zip(names, _rates(self._fit), strict=True))
        return {"epochs": self._epochs, "seconds": float(self._fit[2]), "throughput": rates}

    def _start(self, trainer: pl.Trainer) -> None:
        self._since = perf_counter(), _making(trainer)

    def _stop(self, trainer: pl.Trainer) -> None:
        if self._since is not None:
            if trainer.strategy.root_device.type != "cpu":
                torch.accelerator.synchronize(trainer.strategy.root_device)
            self._epoch[2] += perf_counter() - self._since[0]
            self._epoch[3] += _making(trainer) - self._since[1]
            self._since = None

    def _memory(self, trainer: pl.Trainer) -> dict[str, float]:
        sizes = peak_memory()
        most = _over_processes(trainer, torch.tensor(list(sizes.values()), dtype=torch.float64), "max")
        return dict(zip(sizes, most.tolist(), strict=True))


def peak_memory() -> dict[str, float]:
    """The most memory that this process has held, in GB: on the host, where the system tells, and on its GPU."""
    sizes = {}
    status = Path("/proc/self/status")
    if status.exists():  # and not getrusage, where the peak of the process that started this one lives on
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        sizes["peak_memory"] = int(line.split()[1]) * 1024 / 1e9
    elif sys.platform == "darwin":
        import resource

        sizes["peak_memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
    if torch.cuda.is_initialized():
        sizes["peak_gpu_memory"] = torch.cuda.max_memory_allocated() / 1e9
    return sizes


def _rates(total: Tensor) -> list[float]:
    users, targets, seconds, waited = total.tolist()
    return [value / max(seconds, 1e-9) for value in (users, targets, waited)]


def _making(trainer: pl.Trainer) -> float:
    """Seconds that the loader has spent making batches."""
    loader = trainer.train_dataloader
    return loader.seconds if isinstance(loader, BatchLoader) else 0.0


def _over_processes(trainer: pl.Trainer, values: Tensor, operation: str) -> Tensor:
    if trainer.world_size == 1:
        return values
    reduced: Tensor = trainer.strategy.reduce(values.to(trainer.strategy.root_device), reduce_op=operation)
    return reduced.cpu()
