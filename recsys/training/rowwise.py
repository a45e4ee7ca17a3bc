"""AdamW, and for tables with sparse gradients an optimiser whose step costs only the rows that were touched."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from recsys.errors import InputError
from recsys.losses import Loss
from recsys.models import Model

_EPSILON = 1e-8


class RowwiseAdagrad(torch.optim.AdamW):
    """Row-wise Adagrad (FBGEMM's EXACT_ROWWISE_ADAGRAD) for `tables`, AdamW for the rest.

    A row's step is lr · g / (√G + ε), with G the sum so far of the means of g² over the row: one number per row, where
    Adam keeps two of the row's own size. A row without gradient stays as it is, so weights of tables do not decay.

    Args:
        rest: Parameters with dense gradients.
        tables: Parameters `[rows, dim]` with sparse ones.
        lr: Learning rate of the rest.
        table_lr: Learning rate of the tables.
        betas: As AdamW, for the rest.
        weight_decay: As AdamW, for the rest.
    """

    def __init__(
        self,
        rest: list[nn.Parameter],
        tables: list[nn.Parameter],
        lr: float,
        table_lr: float,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        groups: list[dict[str, Any]] = [{"params": rest}, {"params": tables, "lr": table_lr, "weight_decay": 0.0}]
        super().__init__([group for group in groups if group["params"]], lr, betas, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step; AdamW does not see the sparse gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        everything = ((parameter, group["lr"]) for group in self.param_groups for parameter in group["params"])
        tables = [(p, p.grad, lr) for p, lr in everything if p.grad is not None and p.grad.is_sparse]
        for table, _, _ in tables:
            table.grad = None
        super().step()
        for table, gradient, lr in tables:
            table.grad = gradient
            state = self.state[table]
            if not state:
                state["sum"] = table.new_zeros(len(table))
            _step(table, gradient.coalesce(), state["sum"], lr)
        return loss


def make_sparse(network: Model, loss: Loss, trainer: pl.Trainer) -> list[Tensor]:
    """The tables of items, which from now on get sparse gradients.

    Raises:
        InputError: they would be dense all the same, or something else cannot take sparse ones.
    """
    flag, table = "--model.optimizer rowwise_adagrad", network.item_vectors()
    if network.brings_loss:
        raise InputError(
            f"{flag}: {network.title} is trained by RecBole's own loss, which reads all items in every step; take "
            "adamw, or with a loss that samples --model.network.init_args.settings.loss_type model.loss."
        )
    if not isinstance(table, nn.Parameter):
        raise InputError(f"{flag}: every step of {network.title} reads its whole item table; take adamw.")
    if loss.reads_all(len(table), trainer.strategy.root_device.type):
        raise InputError(
            f"{flag}: the loss reads all {len(table):,} rows of the item table in every step; take adamw, or a loss "
            "that samples, such as --model.loss SampledSoftmax."
        )
    if trainer.world_size > 1:
        raise InputError(f"{flag}: works in one process, not in {trainer.world_size}; take adamw.")
    if trainer.gradient_clip_val:
        raise InputError(f"{flag}: sparse gradients cannot be clipped; leave out --trainer.gradient_clip_val.")
    for part in loss.modules():
        if isinstance(part, Loss):
            part.sparse = True
    read = network.item_embedding
    assert isinstance(read, nn.Embedding)
    read.sparse = True
    return [table] if read.weight is table else [read.weight, table]


def _step(table: Tensor, gradient: Tensor, total: Tensor, lr: float) -> None:
    rows, values = gradient.indices()[0], gradient.values()
    total.index_add_(0, rows, values.square().mean(1))
    table.index_add_(0, rows, values / (total[rows].sqrt() + _EPSILON)[:, None], alpha=-lr)
