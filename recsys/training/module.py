"""The LightningModule: any model of `recsys.models`, a loss, and ranking metrics at validation and test."""

import math
import sys
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from recsys import checkpoints
from recsys.data import SequenceData
from recsys.errors import InputError
from recsys.losses import Loss
from recsys.models import Batch, Model, RecBole, SearchSASRec
from recsys.ranking import top_k
from recsys.training.evaluation import Evaluation
from recsys.training.schedule import Schedule, scale


class SequentialRecommender(pl.LightningModule):
    """Trains a model to score what its users clicked next.

    Args:
        network: The model; its `n_items` and `max_len` come from the data.
        loss: Training loss (default of the command line: Softmax); RecBole's models bring their own.
        learning_rate: Step size of Adam, at its highest.
        schedule: What the learning rate does after the warm-up: nothing, or go down to 0 at the last step of
            `trainer.max_epochs` or `trainer.max_steps`.
        warmup_steps: Steps in which the learning rate climbs.
        weight_decay: Decoupled weight decay.
        betas: Decay rates of Adam's moments.
        cutoffs: List lengths k of the metrics, as in ndcg@k.
        exclude_seen: Never recommend what is already in the history.
        warm_start: Checkpoint folder of a trained SASRec, or the name of a run, to grow a SearchSASRec from.
        freeze_backbone: With `warm_start`: train the search branch alone.
        k: Items per user that `recsys predict` writes.
    """

    def __init__(
        self,
        network: Model,
        loss: Loss,
        learning_rate: float = 1e-3,
        schedule: Schedule = "constant",
        warmup_steps: int = 0,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.98),
        cutoffs: tuple[int, ...] = (5, 10, 20),
        exclude_seen: bool = False,
        warm_start: str | None = None,
        freeze_backbone: bool = True,
        k: int = 10,
    ) -> None:
        super().__init__()
        if not cutoffs or min(cutoffs) < 1:
            raise InputError(f"--model.cutoffs {list(cutoffs)}: list lengths must be at least 1.")
        if k < 1:
            raise InputError(f"--model.k {k}: ask for at least 1 item.")
        if warmup_steps < 0:
            raise InputError(f"--model.warmup_steps {warmup_steps}: must be at least 0.")
        self.network = network
        self.loss = loss
        self.learning_rate, self.weight_decay, self.betas = learning_rate, weight_decay, betas
        self.schedule, self.warmup_steps = schedule, warmup_steps
        self.cutoffs, self.exclude_seen, self.k = tuple(sorted(cutoffs)), exclude_seen, k
        self.warm_start, self.freeze_backbone = warm_start, freeze_backbone
        self.scores: dict[str, float] = {}
        """Means of the last validation or test, by metric."""

    @property
    def data(self) -> SequenceData:
        """The data module of the running trainer."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, SequenceData)
        return data

    def setup(self, stage: str) -> None:
        """Grow from the warm start and tell the loss what it may know, before the first step."""
        if stage == "fit" and self.warm_start is not None:
            grow(self.network, Path(self.warm_start), self.data.dataset.items.sha256, self.freeze_backbone)
        if stage == "fit" and not isinstance(self.network, RecBole):
            self.loss.prepare(torch.from_numpy(self.data.popularity()))
            described = self.loss.describe(self.data.n_items, self.trainer.strategy.root_device.type)
            if self.trainer.is_global_zero:
                print(f"Loss: {described}.", file=sys.stderr)
            for logger in self.trainer.loggers:
                logger.log_hyperparams({"loss": described})

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW over what is trained, its learning rate scheduled step by step."""
        total = self.trainer.estimated_stepping_batches
        if self.schedule != "constant" and math.isinf(total):
            raise InputError(f"--model.schedule {self.schedule}: needs an end, set --trainer.max_epochs.")
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        adam = torch.optim.AdamW(trained, lr=self.learning_rate, betas=self.betas, weight_decay=self.weight_decay)
        factor = partial(scale, total=total, warmup=self.warmup_steps, schedule=self.schedule)
        steps = torch.optim.lr_scheduler.LambdaLR(adam, factor)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": steps, "interval": "step"}}

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of all targets of the batch's histories."""
        loss, target = self.network.own_loss(batch), batch.target_item
        if loss is None:
            vectors, table, target = self.network.training_points(batch)
            loss = self.loss(vectors, table, target)
        self.log("train/loss", loss, batch_size=len(target), prog_bar=True, on_step=True, on_epoch=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self._begin("valid", exposed=False)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Rank the requests of the batch."""
        self._evaluation.add(batch.request, self.network.encode(batch), self._table)

    def on_validation_epoch_end(self) -> None:
        """Log the means over all requests of all processes."""
        self._report("val", self._evaluation)

    def on_test_epoch_start(self) -> None:
        """Start counting anew, for the model and for the popularity of items beside it."""
        self._begin("test", exposed=True)
        self._popular = self._evaluation_of("test", exposed=True)
        self._popularity = torch.from_numpy(self.data.popularity()).to(self.device, torch.float32)[:, None]

    def test_step(self, batch: Batch, index: int) -> None:
        """Rank the requests of the batch by the model, and by popularity."""
        self._evaluation.add(batch.request, self.network.encode(batch), self._table)
        self._popular.add(batch.request, self._popularity.new_ones(len(batch), 1), self._popularity)

    def on_test_epoch_end(self) -> None:
        """Log the means; the rows per request stay in `test_frame`."""
        self._report("test/popular", self._popular)
        self._report("test", self._evaluation)
        self.test_frame = self._evaluation.frame()

    def on_predict_epoch_start(self) -> None:
        """Prepare the item table."""
        self._begin("test", exposed=False)

    def predict_step(self, batch: Batch, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Requests `[points]`, their items in rank order `[points, k]` and the scores `[points, k]`."""
        exclude = None
        if self.exclude_seen:
            seen = self._evaluation.seen(batch.request.cpu().numpy())
            exclude = torch.from_numpy(seen.offsets), torch.from_numpy(seen.values)
        ids, scores = top_k(self.network.encode(batch), self._table, self.k, exclude)
        return batch.request, ids, scores

    def _begin(self, split: str, exposed: bool) -> None:
        table = self.network.item_vectors()
        self._table = None if table is None else table.detach()  # a parameter would become one of this module's own
        self._evaluation = self._evaluation_of(split, exposed)

    def _evaluation_of(self, split: str, exposed: bool) -> Evaluation:
        data = self.data
        return Evaluation(data.dataset, data.histories(split), self.cutoffs, self.exclude_seen, exposed)

    def _report(self, prefix: str, evaluation: Evaluation) -> None:
        names, sums = evaluation.sums()
        total = torch.tensor(sums, dtype=torch.float64)
        if self.trainer.world_size > 1:
            total = self.trainer.strategy.reduce(total.to(self.device), reduce_op="sum")
        means = {
            f"{prefix}/{name}": value / float(total[-1])
            for name, value in zip(names[:-1], total.tolist(), strict=False)
        }
        for name, value in means.items():
            self.log(name, value, prog_bar=name == "val/ndcg@10", rank_zero_only=False)
        self.scores |= means


def grow(network: Model, folder: Path, items_sha256: str, freeze: bool) -> None:
    """Put the weights of a trained SASRec inside a SearchSASRec; freeze them when asked to.

    Raises:
        InputError: another model, another vocabulary, another shape.
    """
    if not isinstance(network, SearchSASRec):
        raise InputError(f"--model.warm_start: {type(network).__name__} cannot grow from a SASRec, SearchSASRec can.")
    source = checkpoints.load(folder)
    if source.items.sha256 != items_sha256:
        raise InputError(f"{folder}: trained on another item vocabulary than this data; fit SASRec on it first.")
    try:
        network.load_backbone(source.network.state_dict())
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{folder}: a {type(source.network).__name__} of another shape ({error}).") from error
    for parameter in network.backbone():
        parameter.requires_grad_(not freeze)
