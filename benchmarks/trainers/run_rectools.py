"""RecTools: its SASRec, BERT4Rec and eSASRec as its guides set them up, judged after each epoch.

    python run_rectools.py SASRec --data ml-100k/ml-100k.inter --out JOB.json --patience 10

It trains the last 50 items of each user, which are two fifths of the log: that is how it ships.
"""

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import (  # noqa: TID251 (what RecTools is built on)
    Callback,
    LightningModule,
    Trainer,
    seed_everything,
)
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel, SASRecModel
from rectools.models.nn.item_net import IdEmbeddingsItemNet
from rectools.models.nn.transformers.data_preparator import SequenceDataset
from rectools.models.nn.transformers.ligr import LiGRLayers
from referee import DIM, HEADS, LAYERS, MAX_LEN, Log, Referee, Split, begin
from torch.utils.data import DataLoader

BATCH = 32  # of 943 rows in all: 128, the default, would leave 8 steps an epoch


class Judged(Callback):
    """Takes the time of each epoch and has it judged."""

    def __init__(self, referee: Referee) -> None:
        self.referee, self.targets = referee, 0

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.targets = 0
        self.referee.watch.start()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, out: Any, batch: Any, index: int) -> None:
        self.targets += int((batch["y"] != 0).sum())

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.referee.watch.stop()
        if self.referee.judge(self.targets, lambda split: scores(module, self.referee.log, split)):
            trainer.should_stop = True
        module.train()


def scores(module: Any, log: Log, split: Split) -> np.ndarray:
    """RecTools' own vectors of users and items, multiplied."""
    preparator = module.data_preparator
    known = preparator.item_id_map.to_internal  # by external id
    ids = np.array([known.get(name, -1) for name in log.items])
    sessions = [[int(i) for i in ids[items] if i >= 0] for items in log.inputs(split)]
    loader = DataLoader(
        SequenceDataset(sessions, [[1.0] * len(session) for session in sessions]),
        batch_size=256,
        collate_fn=preparator._collate_fn_recommend,
    )
    users, items = module._get_user_item_embeddings(loader, "cpu")
    table = (users @ items.T).numpy()
    return np.where(ids >= 0, table[:, np.maximum(ids, 0)], -np.inf)


def built(name: str, judged: Judged, max_epochs: int) -> Any:
    """The model under that name."""
    common = {
        "n_factors": DIM,
        "n_blocks": LAYERS,
        "n_heads": HEADS,
        "session_max_len": MAX_LEN,
        "dropout_rate": 0.2,
        "lr": 1e-3,
        "batch_size": BATCH,
        "epochs": max_epochs,
        "item_net_block_types": (IdEmbeddingsItemNet,),
        "recommend_torch_device": "cpu",
        "get_trainer_func": lambda: Trainer(
            max_epochs=max_epochs,
            accelerator="cpu",
            devices=1,
            callbacks=[judged],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ),
    }
    if name == "SASRec":
        return SASRecModel(loss="softmax", **common)
    if name == "BERT4Rec":
        return BERT4RecModel(loss="softmax", mask_prob=0.2, **common)
    assert name == "eSASRec", name
    layers = {"ff_factors_multiplier": 4, "ff_activation": "swiglu", "bias_in_ff": False}
    recipe = {"transformer_layers_type": LiGRLayers, "transformer_layers_kwargs": layers}
    return SASRecModel(loss="sampled_softmax", n_negatives=256, **recipe, **common)


def training_part(log: Log) -> Dataset:
    """All ratings before the validation; times are places, so that ties stay in the order of the file."""
    rows = [
        (user, item, i) for user, names in zip(log.users, log.names, strict=True) for i, item in enumerate(names[:-2])
    ]
    frame = pd.DataFrame(rows, columns=[Columns.User, Columns.Item, Columns.Datetime])
    frame[Columns.Datetime] = pd.to_datetime(frame[Columns.Datetime], unit="s")
    return Dataset.construct(frame.assign(**{Columns.Weight: 1.0}))


def main() -> None:
    args, referee = begin(__doc__, "rectools", "torch", "pytorch-lightning", "numpy", "pandas")
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    seed_everything(args.seed, verbose=False)
    model = built(args.model, Judged(referee), args.max_epochs)
    model.fit(training_part(referee.log))
    judged = next(each for each in model.fit_trainer.callbacks if isinstance(each, Judged))  # RecTools copies it
    judged.referee.finish()


if __name__ == "__main__":
    main()
