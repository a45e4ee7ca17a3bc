"""RePlay: its newer SASRec, through Lightning's `predict` with the callback and the filter that come with it.

One user alone goes past the Trainer, which would take longer to start than to answer.
"""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from referee import DIM, HEADS, LAYERS, MAX_LEN, K, Recommender, begin, judge
from replay.data import FeatureHint, FeatureType
from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorSchema
from replay.nn.lightning import LightningModule
from replay.nn.lightning.callback import PandasTopItemsCallback
from replay.nn.lightning.postprocessor import SeenItemsFilter
from replay.nn.sequential import SasRec
from replay.nn.transform.template import make_default_sasrec_transforms


def main() -> None:
    args, histories = begin(__doc__, "replay-rec", "torch", "pandas")
    warnings.filterwarnings("ignore")
    for name in ("lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    items = int(histories.max()) + 1
    item = TensorFeatureInfo(
        name="item_id",
        is_seq=True,
        padding_value=items,
        cardinality=items,
        embedding_dim=DIM,
        feature_type=FeatureType.CATEGORICAL,
        feature_hint=FeatureHint.ITEM_ID,
    )
    schema = TensorSchema([item])
    size = {"embedding_dim": DIM, "max_sequence_length": MAX_LEN, "num_heads": HEADS, "num_blocks": LAYERS}
    module = LightningModule(SasRec.from_params(schema=schema, dropout=0.2, **size)).eval()
    seen = SeenItemsFilter(items)
    with tempfile.TemporaryDirectory() as folder:
        lists = histories.tolist()
        pd.DataFrame({"user_id": range(len(lists)), "item_id": lists, "seen_ids": lists}).to_parquet(
            Path(folder) / "users.parquet"
        )
        shape = {"shape": MAX_LEN, "padding": items}

        def many() -> np.ndarray:
            data = ParquetModule(
                predict_path=str(Path(folder) / "users.parquet"),
                batch_size=256,
                transforms={"predict": make_default_sasrec_transforms(schema)["predict"]},
                metadata={"predict": {"user_id": {}, "item_id": shape, "seen_ids": shape}},
            )
            top = PandasTopItemsCallback(K, "user_id", "item_id", postprocessors=[seen])
            quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
            trainer = lightning.Trainer(accelerator="cpu", callbacks=[top], enable_model_summary=False, **quiet)
            trainer.predict(module, data, return_predictions=False)
            found: Any = top.get_result()
            rows = found.explode("item_id") if found["item_id"].dtype == object else found
            return rows.sort_values("user_id", kind="stable")["item_id"].to_numpy(np.int64).reshape(-1, K)

        @torch.inference_mode()
        def one(user: int) -> np.ndarray:
            history = torch.from_numpy(histories[user : user + 1])
            logits = module({"feature_tensors": {"item_id": history}, "padding_mask": history != items})["logits"]
            return seen.on_prediction({"seen_ids": history}, logits).topk(K, dim=1).indices[0].numpy()

        @torch.inference_mode()
        def vectors(count: int) -> tuple[np.ndarray, np.ndarray]:
            history = torch.from_numpy(histories[:count])
            batch = {"feature_tensors": {"item_id": history}, "padding_mask": history != items}
            states = module(batch)["hidden_states"][0][:, -1]
            return states.numpy(), module.model.body.embedder.get_item_weights()[:items].numpy()

        weights = sum(weight.numel() for weight in module.model.parameters())
        judge("RePlay", Recommender(many, one, vectors, weights), histories, args)


if __name__ == "__main__":
    main()
