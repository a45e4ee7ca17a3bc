"""The LightningModule: any model of `recsys.models`, a loss, and ranking metrics at validation and test."""

import math
import sys
from functools import partial
from pathlib import Path
from typing import Literal

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from recsys import checkpoints, metrics, ranking
from recsys.data import SequenceData
from recsys.errors import InputError, did_you_mean
from recsys.losses import Loss, Softmax
from recsys.metrics import METRICS, Average, catalogue, mean_metrics
from recsys.models import Batch, Model
from recsys.models.dropout import lean_dropout
from recsys.models.searches import SearchBranch
from recsys.ranking import top_k
from recsys.training.baselines import Chance, Ranker, Scored, baselines
from recsys.training.compilation import compile_layers, uncompiled
from recsys.training.evaluation import Evaluation, frame
from recsys.training.protocols import Questions, read_candidates
from recsys.training.rowwise import RowwiseAdagrad, make_sparse
from recsys.training.schedule import Schedule, scale
from recsys.training.slices import Slice, check
from recsys.training.warm_start import fits_data, grow


class SequentialRecommender(pl.LightningModule):
    """Trains a model to score what its users clicked next.

    Args:
        network: The model; its `n_items` and `max_len` come from the data.
        loss: Training loss (default of the command line: Softmax); RecBole's models bring their own.
        learning_rate: Step size of Adam, at its highest.
        optimizer: "adamw" moves all weights in every step. "rowwise_adagrad" moves but the rows of the item table that
            the step has read, and all other weights by AdamW: for large tables and losses that read few rows.
        table_learning_rate: Step size of the item table under "rowwise_adagrad".
        schedule: What the learning rate does after the warm-up: nothing, or go down to 0 at the last step of
            `trainer.max_epochs` or `trainer.max_steps`.
        warmup_steps: Steps in which the learning rate climbs.
        weight_decay: Decoupled weight decay; rows that "rowwise_adagrad" moves have none.
        betas: Decay rates of Adam's moments.
        cutoffs: List lengths k of the metrics, as in ndcg@k.
        exclude_seen: Never recommend what is already in the history.
        average: What metrics are means over: requests, or users, each with the mean of its requests.
        candidates: Parquet file of request_id and item_ids, as `recsys predict` writes it: `recsys test` re-ranks these
            lists too.
        slices: Requests that `recsys test` looks at apart, by name and rule (default: by length of history, by targets
            outside the vocabulary, after a search).
        warm_start: The checkpoint that training begins with, of a model like this one or, for one that reads searches,
            of its backbone (SASRec for SearchSASRec): a folder, the name of a run, or whatever `recsys download` takes.
            Where there is a config of that name but no run, `recsys fit` trains it first, on the same data.
        freeze_backbone: With `warm_start`: train the search branch alone, where there is one.
        compile_layers: Train with the repeated layers of the network compiled by `torch.compile`.
        k: Items per user that `recsys predict` writes.
    """

    def __init__(
        self,
        network: Model,
        loss: Loss,
        learning_rate: float = 1e-3,
        optimizer: Literal["adamw", "rowwise_adagrad"] = "adamw",
        table_learning_rate: float = 0.1,
        schedule: Schedule = "constant",
        warmup_steps: int = 0,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.98),
        cutoffs: tuple[int, ...] = (5, 10, 20),
        exclude_seen: bool = False,
        average: Average = "request",
        candidates: str | None = None,
        slices: dict[str, Slice] | None = None,
        warm_start: str | None = None,
        freeze_backbone: bool = True,
        compile_layers: bool = False,
        k: int = 10,
    ) -> None:
        super().__init__()
        if not cutoffs or min(cutoffs) < 1:
            raise InputError(f"--model.cutoffs {list(cutoffs)}: list lengths must be at least 1.")
        if k < 1:
            raise InputError(f"--model.k {k}: ask for at least 1 item.")
        if warmup_steps < 0:
            raise InputError(f"--model.warmup_steps {warmup_steps}: must be at least 0.")
        check(slices or {})
        lean_dropout(network)
        self.network = network
        self.loss = loss
        self.optimizer, self.table_learning_rate = optimizer, table_learning_rate
        self.learning_rate, self.weight_decay, self.betas = learning_rate, weight_decay, betas
        self.schedule, self.warmup_steps = schedule, warmup_steps
        self.cutoffs, self.exclude_seen, self.k = tuple(sorted(cutoffs)), exclude_seen, k
        self.average, self.candidates, self.slices = average, candidates, slices
        self.warm_start, self.freeze_backbone = warm_start, freeze_backbone
        self.grows_from: Path | None = None
        """The folder of what `warm_start` names, where that is fetched."""
        if isinstance(network, SearchBranch) and warm_start is not None and freeze_backbone:
            network.part_text()  # what is frozen cannot learn to read queries
        self.compile_layers = compile_layers
        self.scores: dict[str, float] = {}
        """Means of the last validation or test, by metric."""
        self.catalogue: dict[str, float] = {}
        """What all lists of the last test together show of the catalogue, by metric."""

    @property
    def data(self) -> SequenceData:
        """The data module of the running trainer."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, SequenceData)
        return data

    def setup(self, stage: str) -> None:
        """Tell data, model and loss what they are to know, and grow from the warm start, before all steps.

        What evaluation has compiled is compiled here, so that no validation takes longer than the next.
        """
        ranking.warm_up()
        if stage != "predict":
            metrics.warm_up()
        self.data.times, self.data.searches = self.network.uses_times, self.network.uses_searches
        measured = [f"val/{metric}@{k}" for metric in METRICS for k in self.cutoffs]
        for stopping in self.trainer.early_stopping_callbacks if stage == "fit" else ():
            if stopping.monitor.startswith("val/") and stopping.monitor not in measured:
                raise InputError(
                    f"--early_stopping.monitor {stopping.monitor}: validation does not measure it with --model.cutoffs "
                    f"{list(self.cutoffs)}.{did_you_mean(stopping.monitor, measured)}"
                )
        if stage == "fit" and self.network.described is not None:
            self.network.described.describe(self.data.content, self.data.popularity() >= self.data.min_count)
            known = [name for name, _ in self.named_buffers() if name.startswith("network.item_embedding.")]
            DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, known)  # all have read the same
        if stage == "fit" and self.warm_start is not None:
            named = f"--model.warm_start {self.warm_start}"
            source = checkpoints.load(self.grows_from or Path(self.warm_start))
            fits_data(source, self.data, named)
            grow(self.network, source.network, named, self.freeze_backbone)
        for callback in self.trainer.callbacks if stage == "fit" else ():  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging):  # whose copy was made before the network knew and grew
                callback.setup(self.trainer, self, stage)
        if stage == "fit" and self.compile_layers:
            layers = compile_layers(self.network, self.trainer.strategy.root_device.type)
            if self.trainer.is_global_zero:
                print(f"Compiling {layers} layers in the first step, which may take a minute.", file=sys.stderr)
        if stage == "fit" and self.network.brings_loss and not isinstance(self.loss, Softmax):
            raise InputError(
                f"--model.loss {type(self.loss).__name__}: {self.network.title} is trained by RecBole's own loss. "
                "Models whose scores are products take it with --model.network.init_args.settings.loss_type model.loss."
            )
        if stage == "fit" and not self.network.brings_loss:
            self.loss.prepare(torch.from_numpy(self.data.popularity()))
            described = self.loss.describe(self.data.n_items, self.trainer.strategy.root_device.type)
            if self.trainer.is_global_zero:
                print(f"Loss: {described}.", file=sys.stderr)
            for logger in self.trainer.loggers:
                logger.log_hyperparams({"loss": described})

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """What moves the weights that are trained, its learning rate scheduled step by step."""
        total = self.trainer.estimated_stepping_batches
        if self.schedule != "constant" and math.isinf(total):
            raise InputError(f"--model.schedule {self.schedule}: needs an end, set --trainer.max_epochs.")
        adam = self._adam([parameter for parameter in self.parameters() if parameter.requires_grad])
        factor = partial(scale, total=total, warmup=self.warmup_steps, schedule=self.schedule)
        steps = torch.optim.lr_scheduler.LambdaLR(adam, factor)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": steps, "interval": "step"}}

    def _adam(self, trained: list[nn.Parameter]) -> torch.optim.Optimizer:
        if self.optimizer == "rowwise_adagrad":
            tables = {id(table) for table in make_sparse(self.network, self.loss, self.trainer)}
            rest, rows = ([p for p in trained if (id(p) in tables) == chosen] for chosen in (False, True))
            rates = self.learning_rate, self.table_learning_rate
            return RowwiseAdagrad(rest, rows, *rates, self.betas, self.weight_decay)
        # one kernel where there is one, unless gradients that have been scaled must be clipped before it
        scaled = isinstance(self.trainer.precision_plugin, MixedPrecision)
        fused = self.device.type in ("cpu", "cuda") and not (scaled and self.trainer.gradient_clip_val)
        return torch.optim.AdamW(trained, self.learning_rate, self.betas, weight_decay=self.weight_decay, fused=fused)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of all targets of the batch's histories."""
        loss = self.network.training_loss(batch, self.loss)
        size = len(batch.target_item)
        self.log("train/loss", loss, batch_size=size, prog_bar=True, on_step=True, on_epoch=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self._begin("valid")
        self._evaluation = Evaluation(self.questions, ["full"], Chance())

    def validation_step(self, batch: Batch, index: int) -> None:
        """Rank the requests of the batch."""
        with uncompiled(self.compile_layers):
            self._evaluation.add(batch.request.cpu().numpy(), Scored(self.network.encode(batch), self._table))

    def on_validation_epoch_end(self) -> None:
        """Log the means over all requests of all processes."""
        self._report("val", self._evaluation)

    def on_test_epoch_start(self) -> None:
        """Start counting anew, for the model and for every baseline beside it."""
        self._begin("test")
        protocols = self.questions.protocols
        self._baselines: dict[str, tuple[Ranker, Evaluation]] = {
            name: (ranker, Evaluation(self.questions, protocols, ranker, keep_lists=True))
            for name, ranker in baselines(self.questions).items()
        }
        self._evaluation = Evaluation(self.questions, protocols, Chance(), keep_lists=True)

    def test_step(self, batch: Batch, index: int) -> None:
        """Rank the requests of the batch by the model, and by every baseline."""
        rows = batch.request.cpu().numpy()
        rate = partial(self.network.candidate_scores, batch)
        self._evaluation.add(rows, Scored(self.network.encode(batch), self._table, rate))
        for ranker, evaluation in self._baselines.values():
            evaluation.add(rows, ranker)

    def on_test_epoch_end(self) -> None:
        """Log the means; the rows per request stay in `test_frame`."""
        others = {name: evaluation for name, (_, evaluation) in self._baselines.items()}
        self.catalogue, clicks = {}, self.data.popularity()
        for name, evaluation in [*others.items(), ("", self._evaluation)]:
            prefix = f"test/{name}" if name else "test"
            evaluation.add_popularity(clicks)
            if self.data.kinds is not None:
                evaluation.add_kinds(*self.data.kinds)
            self._report(prefix, evaluation)
            if evaluation.lists is not None:
                shown = catalogue(self._gathered(evaluation.lists), self.data.n_items - 1, self.cutoffs)
                self.catalogue |= {f"{prefix}/{metric}": value for metric, value in shown.items()}
        for name, value in self.catalogue.items():
            self.log(name, value, rank_zero_only=False)
        self.scores |= self.catalogue
        self.test_frame = frame(self.questions, {"": self._evaluation, **others})

    def on_predict_epoch_start(self) -> None:
        """Prepare the item table."""
        self._begin("test")

    def predict_step(self, batch: Batch, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Requests `[points]`, their items in rank order `[points, k]` and the scores `[points, k]`."""
        seen = self.questions.excluded(batch.request.cpu().numpy())
        ids, scores = top_k(self.network.encode(batch), self._table, self.k, (seen.offsets, seen.values))
        return batch.request, ids, scores

    def _begin(self, split: str) -> None:
        table = self.network.item_vectors()
        self._table = None if table is None else table.detach()  # a parameter would become one of this module's own
        data = self.data
        given, digest = None, None
        if self.candidates is not None and split == "test":
            given, digest = read_candidates(Path(self.candidates), data.dataset)
        histories = data.histories(split)
        self.questions = Questions(
            data.dataset, histories, split, self.cutoffs, self.exclude_seen, self.average, given, digest
        )

    def _gathered(self, lists: np.ndarray) -> np.ndarray:
        """The lists `[requests, depth]` of all processes, which need not have equally many."""
        if self.trainer.world_size == 1:
            return lists
        gather = self.trainer.strategy.all_gather
        counts = gather(torch.tensor(len(lists), device=self.device)).tolist()
        padded = torch.zeros(max(counts), lists.shape[1], dtype=torch.int32, device=self.device)
        padded[: len(lists)] = torch.from_numpy(lists)
        parts = gather(padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)]).cpu().numpy()

    def _report(self, prefix: str, evaluation: Evaluation) -> None:
        names, totals = evaluation.totals()
        total = torch.from_numpy(totals)
        if self.trainer.world_size > 1:
            total = self.trainer.strategy.reduce(total.to(self.device), reduce_op="sum").cpu()
        sums, counts = total.numpy()
        groups = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        means = mean_metrics({f"{prefix}/{name}": groups[:, i] for i, name in enumerate(names)})
        for name, value in means.items():
            self.log(name, value, prog_bar=name == "val/ndcg@10", rank_zero_only=False)
        self.scores |= means
