"""What happens around the loop: configuration and results into the run's folder, the best weights into a checkpoint."""

import copy
import json
import math
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import polars as pl_
import torch
from lightning.pytorch.callbacks import BasePredictionWriter, Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from rich.console import Console

from recsys import checkpoints
from recsys.checkpoints import lightning
from recsys.data.dataset import read_meta
from recsys.files import atomic_file
from recsys.training.module import SequentialRecommender
from recsys.training.results import measured, scoreboards, sliced, written
from recsys.training.runs import CHECKPOINT
from recsys.training.slices import DEFAULT, check_fields, members


class SaveRunConfig(SaveConfigCallback):
    """Writes the resolved configuration into the run's folder and to the logger."""

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Called once, by the first process."""
        stage = str(getattr(stage, "value", stage))  # an enum, whose str() differs between versions of Python
        text = self.parser.dump(self.config, skip_none=False)
        name = "config.yaml" if stage == "fit" else f"config.{stage}.yaml"
        with atomic_file(Path(trainer.default_root_dir) / name) as file:
            file.write_text(text, encoding="utf-8")
        assert isinstance(pl_module, SequentialRecommender)
        dataset = pl_module.data.dataset
        for logger in trainer.loggers:
            logger.log_hyperparams(
                {
                    "stage": stage,
                    "cli": self.config.as_dict() if hasattr(self.config, "as_dict") else dict(self.config),
                    "model": pl_module.network.title,
                    "data": dataset.name,
                    "data_fingerprint": dataset.fingerprint,
                }
            )


class ExportCheckpoint(Callback):
    """At the end of fit, exports the weights that validated best to `<run>/checkpoint`.

    When the whole validation runs before the first step (`trainer.num_sanity_val_steps: -1`), the model as it starts is
    a candidate too, and early stopping counts from it: an adapter can then never end below the model it grew from.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.start_score: float | None = None
        self.start_state: dict[str, Any] = {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note beside Lightning's state what `recsys export` needs to make a checkpoint of it."""
        assert isinstance(pl_module, SequentialRecommender)
        checkpoint[lightning.KEY] = lightning.note(described(pl_module, {}))

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the model as it starts."""
        assert isinstance(pl_module, SequentialRecommender)
        if trainer.num_sanity_val_steps == float("inf"):
            self.start_score = pl_module.scores[self.monitor]
            self.start_state = copy.deepcopy(pl_module.network.state_dict())
            for stopping in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(stopping, EarlyStopping):
                    stopping.best_score = torch.tensor(self.start_score)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Export from the first process."""
        assert isinstance(pl_module, SequentialRecommender)
        saved = trainer.checkpoint_callback
        assert isinstance(saved, ModelCheckpoint)
        best = None if saved.best_model_score is None else float(saved.best_model_score)
        start = None if self.start_score is None else float(torch.tensor(self.start_score))  # single precision, as best
        if start is not None and (best is None or start >= best):
            pl_module.network.load_state_dict(self.start_state)
            best = self.start_score
        elif saved.best_model_path:
            state = torch.load(saved.best_model_path, map_location=pl_module.device, weights_only=True)["state_dict"]
            pl_module.load_state_dict(state)
        unvalidated = best is None and trainer.global_step > 0 and not trainer.fast_dev_run
        if trainer.is_global_zero and (best is not None or unvalidated):
            export(pl_module, Path(trainer.default_root_dir) / CHECKPOINT, {} if best is None else {self.monitor: best})
            if best is None:
                said = "the checkpoint holds the weights of the last step"
                print(f"Nothing was validated in {trainer.global_step:,} steps: {said}.", file=sys.stderr)


class StepSeeds(Callback):
    """Draws the chance of each training step (dropout, masks, negatives) from its place in the fit.

    A step is then the same whether the fit came to it in one go, or was interrupted and resumed: no state of any
    generator has to be kept.
    """

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, index: int) -> None:
        """Seed by the run, the epoch, the step and the process."""
        assert isinstance(pl_module, SequentialRecommender)
        place = (pl_module.data.seed, trainer.current_epoch, index, trainer.global_rank)
        seed = int(np.random.SeedSequence(place).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (some of RecBole's models draw from it)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed asks for every kind of device, which takes longer
        if pl_module.device.type != "cpu":
            torch.get_device_module(pl_module.device).manual_seed(seed)


class RequestResults(Callback):
    """After test, writes the metrics and one row per request into the run's folder."""

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Rows of an earlier test, by another number of processes, would stand beside the new ones."""
        assert isinstance(pl_module, SequentialRecommender)
        check_fields(pl_module.slices or {}, pl_module.data.path)
        _remove_parts(trainer, "test_requests")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Called when the metrics are final; with several processes each writes its own rows."""
        assert isinstance(pl_module, SequentialRecommender)
        folder = Path(trainer.default_root_dir)
        suffix = "" if trainer.world_size == 1 else f".{trainer.global_rank}"
        with atomic_file(folder / f"test_requests{suffix}.parquet") as file:
            pl_module.test_frame.write_parquet(file)
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            rows, data = read_requests(folder), pl_module.data
            rules = DEFAULT if pl_module.slices is None else pl_module.slices
            inside = members(rules, rows, data.dataset, data.path)
            with atomic_file(folder / "test_slices.parquet") as file:
                rows.select("request").with_columns(**inside).write_parquet(file)
            result = summary(pl_module, rows, inside)
            with atomic_file(folder / "test.json") as file:
                file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
            console = Console(width=max(Console().width, 120))
            for table in scoreboards(result, pl_module.cutoffs):
                console.print(table)


def read_requests(folder: Path) -> pl_.DataFrame:
    """The rows of every process, sorted by user and request, so that their number changes nothing."""
    parts = sorted(folder.glob("test_requests*.parquet"))
    return pl_.concat([pl_.read_parquet(part) for part in parts]).sort("user_id", "request")


def summary(module: SequentialRecommender, frame: pl_.DataFrame, inside: Mapping[str, pl_.Series]) -> dict[str, Any]:
    """What test.json holds, of one row a request and of which of them are in each slice."""
    data, questions = module.data, module.questions
    return {
        "model": module.network.title,
        "data": data.dataset.name,
        "data_fingerprint": data.dataset.fingerprint,
        "weights_sha256": checkpoints.weights_sha256(module.network),
        "protocol": {
            "exclude_seen": module.exclude_seen,
            "vocabulary": list(data.vocabulary),
            "average": module.average,
        },
        "protocols": {name: questions.describe(name) for name in questions.protocols},
        "requests": frame.height,
        "users": frame["user_id"].n_unique(),
        **written(measured(frame, module.average)),
        "catalogue": {name: value for name, value in module.catalogue.items() if not math.isnan(value)},
        "slices": sliced(frame, inside, module.average),
    }


class WritePredictions(BasePredictionWriter):
    """After predict, writes the recommendations of every request with external ids, one file per process."""

    def __init__(self) -> None:
        super().__init__("epoch")

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """As before a test."""
        _remove_parts(trainer, "predictions")

    def write_on_epoch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, predictions: Any, batch_indices: Any
    ) -> None:
        """Columns: request_id, user_id, item_ids and scores in rank order."""
        assert isinstance(pl_module, SequentialRecommender)
        dataset = pl_module.data.dataset
        requests = torch.cat([request for request, _, _ in predictions]).cpu().numpy()
        ids = torch.cat([ids for _, ids, _ in predictions]).cpu().numpy()
        scores = torch.cat([scores for _, _, scores in predictions]).float().cpu().numpy()
        frame = pl_.DataFrame(
            {
                "request_id": [dataset.requests.id[i] for i in requests],
                "user_id": [dataset.users[dataset.requests.user[i]] for i in requests],
                "item_ids": [dataset.items.decode(row[row > 0]) for row in ids],
                "scores": [score[row > 0].tolist() for row, score in zip(ids, scores, strict=True)],
            }
        )
        suffix = "" if trainer.world_size == 1 else f".{trainer.global_rank}"
        with atomic_file(Path(trainer.default_root_dir) / f"predictions{suffix}.parquet") as file:
            frame.write_parquet(file)


def export(module: SequentialRecommender, folder: Path, metrics: dict[str, float]) -> None:
    """Write the module's network, with the vocabulary of its data, as a checkpoint folder."""
    checkpoints.save(described(module, metrics), folder)


def described(module: SequentialRecommender, metrics: dict[str, float]) -> checkpoints.Checkpoint:
    """The module's network with what its data tells of it."""
    data = module.data
    facts = {
        "name": data.dataset.name,
        "fingerprint": data.dataset.fingerprint,
        "synthetic": data.dataset.synthetic,
        "max_len": data.max_len,
        "vocabulary": list(data.vocabulary),
        "exclude_seen": module.exclude_seen,
    }
    meta = read_meta(data.path)
    if "item_numbers" in meta:  # Qilin's notes have other numbers as items, and these two tell which
        facts["note_numbers"] = {"notes": meta["item_numbers"], "seed": meta.get("options", {}).get("seed")}
    return checkpoints.Checkpoint(module.network, data.dataset.items, data.popularity(), facts, metrics)


def _remove_parts(trainer: pl.Trainer, stem: str) -> None:
    if trainer.is_global_zero:
        for part in Path(trainer.default_root_dir).glob(f"{stem}*.parquet"):
            part.unlink()
    trainer.strategy.barrier()
