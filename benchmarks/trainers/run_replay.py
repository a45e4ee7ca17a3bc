"""RePlay: its newer SASRec over windows of whole histories, and its older BERT4Rec, judged after each epoch.

    python run_replay.py SASRec --data ml-100k/ml-100k.inter --out JOB.json --patience 10

Windows of 51 items that overlap by one train every rating once. They are cut here: RePlay's own templates train the
last 50 items of each user, as its BERT4Rec does here too.
"""

import logging
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from referee import DIM, HEADS, LAYERS, MAX_LEN, Log, Referee, Split, begin
from replay.data import Dataset, FeatureHint, FeatureInfo, FeatureSchema, FeatureSource, FeatureType
from replay.data.nn import ParquetModule, SequenceTokenizer, TensorFeatureInfo, TensorFeatureSource, TensorSchema
from replay.models.nn.optimizer_utils import FatOptimizerFactory
from replay.models.nn.sequential import Bert4Rec
from replay.models.nn.sequential.bert4rec import Bert4RecPredictionDataset, Bert4RecTrainingDataset
from replay.nn.lightning import LightningModule
from replay.nn.lightning.optimizer import OptimizerFactory
from replay.nn.sequential import SasRec
from replay.nn.transform.template import make_default_sasrec_transforms
from torch.utils.data import DataLoader

BATCH, DROPOUT, LEARNING_RATE = 32, 0.2, 1e-3


class Judged(lightning.Callback):
    """Takes the time of each epoch and has it judged."""

    def __init__(
        self, referee: Referee, count: Callable[[Any], int], scores: Callable[[Any, Split], np.ndarray]
    ) -> None:
        self.referee, self.count, self.scores, self.targets = referee, count, scores, 0

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.targets = 0
        self.referee.watch.start()

    def on_train_batch_end(self, trainer: Any, module: Any, out: Any, batch: Any, index: int) -> None:
        self.targets += self.count(batch)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self.referee.watch.stop()
        module.eval()
        trainer.should_stop |= self.referee.judge(self.targets, lambda split: self.scores(module, split))
        module.train()


@torch.no_grad()
def sasrec_scores(log: Log, module: Any, split: Split) -> np.ndarray:
    padding = len(log.items)
    rows = np.full((len(log.users), MAX_LEN), padding)
    for row, items in zip(rows, log.inputs(split), strict=True):
        row[MAX_LEN - len(items[-MAX_LEN:]) :] = items[-MAX_LEN:]
    parts = torch.from_numpy(rows).split(256)
    found = [module({"feature_tensors": {"item_id": x}, "padding_mask": x != padding})["logits"] for x in parts]
    return torch.cat(found)[:, :padding].numpy()


def sasrec(log: Log, folder: Path) -> tuple[Any, dict[str, Any], Callable, Callable]:
    """Module, what `Trainer.fit` gets, how targets are counted, how users are scored."""
    padding = len(log.items)
    item = TensorFeatureInfo(
        name="item_id",
        is_seq=True,
        padding_value=padding,
        cardinality=padding,
        embedding_dim=DIM,
        feature_type=FeatureType.CATEGORICAL,
        feature_hint=FeatureHint.ITEM_ID,
    )
    schema = TensorSchema([item])
    windows = [
        (user, items[max(0, end - MAX_LEN - 1) : end])
        for user, items in enumerate(log.inputs("valid"))
        for end in range(len(items), 1, -MAX_LEN)
    ]
    pd.DataFrame(windows, columns=["user_id", "item_id"]).to_parquet(folder / "windows.parquet")
    data = ParquetModule(
        train_path=str(folder / "windows.parquet"),
        batch_size=BATCH,
        transforms=make_default_sasrec_transforms(schema),
        metadata={"train": {"item_id": {"shape": MAX_LEN + 1, "padding": padding}}},
    )
    network = SasRec.from_params(
        schema=schema,
        embedding_dim=DIM,
        max_sequence_length=MAX_LEN,
        num_heads=HEADS,
        num_blocks=LAYERS,
        dropout=DROPOUT,
    )
    module = LightningModule(network, optimizer_factory=OptimizerFactory(learning_rate=LEARNING_RATE))

    def count(batch: Any) -> int:
        return int(batch["target_padding_mask"].sum())

    return module, {"datamodule": data}, count, partial(sasrec_scores, log)


def sequences(log: Log, tokenizer: SequenceTokenizer, split: Split, fit: bool = False) -> Any:
    """A split's inputs as RePlay's older API wants them."""
    rows = [(u, i, n) for u, items in enumerate(log.inputs(split)) for n, i in enumerate(items)]
    features = [
        FeatureInfo("user_id", feature_hint=FeatureHint.QUERY_ID, feature_type=FeatureType.CATEGORICAL),
        FeatureInfo("item_id", feature_hint=FeatureHint.ITEM_ID, feature_type=FeatureType.CATEGORICAL),
        FeatureInfo("timestamp", feature_hint=FeatureHint.TIMESTAMP, feature_type=FeatureType.NUMERICAL),
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    data = Dataset(feature_schema=FeatureSchema(features), interactions=frame, categorical_encoded=False)
    return tokenizer.fit_transform(data) if fit else tokenizer.transform(data)


def bert4rec(log: Log) -> tuple[Any, dict[str, Any], Callable, Callable]:
    item = TensorFeatureInfo(
        name="item_id",
        is_seq=True,
        feature_type=FeatureType.CATEGORICAL,
        embedding_dim=DIM,
        feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, "item_id")],
        feature_hint=FeatureHint.ITEM_ID,
    )
    schema = TensorSchema(item)
    tokenizer = SequenceTokenizer(schema, allow_collect_to_master=True)
    inputs = {"test": sequences(log, tokenizer, "test", fit=True)}
    inputs["valid"] = sequences(log, tokenizer, "valid")
    code = tokenizer.item_id_encoder.mapping["item_id"]
    columns = torch.tensor([code[i] for i in range(len(log.items))])
    number = tokenizer.query_id_encoder.mapping["user_id"]
    row_of = {number[user]: user for user in range(len(log.users))}
    module = Bert4Rec(
        schema,
        block_count=LAYERS,
        head_count=HEADS,
        max_seq_len=MAX_LEN,
        hidden_size=DIM,
        dropout_rate=DROPOUT,
        enable_embedding_tying=True,
        loss_type="CE",
        optimizer_factory=FatOptimizerFactory(learning_rate=LEARNING_RATE),
    )
    rows = Bert4RecTrainingDataset(inputs["valid"], MAX_LEN, mask_prob=0.2)

    def count(batch: Any) -> int:
        batch = batch if isinstance(batch, dict) else batch.convert_to_dict()
        return int((batch["pad_mask"] & ~batch["token_mask"]).sum())

    @torch.no_grad()
    def scores(module: Any, split: Split) -> np.ndarray:
        found = torch.empty(len(log.users), len(log.items))
        for batch in DataLoader(Bert4RecPredictionDataset(inputs[split], MAX_LEN), batch_size=256):
            users = batch["query_id"] if isinstance(batch, dict) else batch.query_id
            found[[row_of[int(user)] for user in users.flatten()]] = module.predict_step(batch, 0)[:, columns]
        return found.numpy()

    return module, {"train_dataloaders": DataLoader(rows, batch_size=BATCH, shuffle=True)}, count, scores


def main() -> None:
    args, referee = begin(__doc__, "replay-rec", "torch", "lightning", "numpy", "pandas")
    warnings.filterwarnings("ignore")
    for name in ("lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(1)
    lightning.seed_everything(args.seed, verbose=False)
    with tempfile.TemporaryDirectory() as folder:
        made = sasrec(referee.log, Path(folder)) if args.model == "SASRec" else bert4rec(referee.log)
        module, data, count, scores = made
        trainer = lightning.Trainer(
            max_epochs=args.max_epochs,
            accelerator="cpu",
            devices=1,
            callbacks=[Judged(referee, count, scores)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
        )
        trainer.fit(module, **data)
    referee.finish()


if __name__ == "__main__":
    main()
