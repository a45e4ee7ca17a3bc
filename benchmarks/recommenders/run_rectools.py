"""RecTools: its SASRec, through `model.recommend`; the users' histories are the data set that it was made with."""

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Trainer  # noqa: TID251 (what RecTools is built on)
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.item_net import IdEmbeddingsItemNet
from referee import DIM, HEADS, LAYERS, MAX_LEN, K, Recommender, begin, judge


def trainer() -> Trainer:
    """One that takes no step: the weights are noise, of the right size."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(max_epochs=1, limit_train_batches=0, accelerator="cpu", enable_model_summary=False, **quiet)


def main() -> None:
    args, histories = begin(__doc__, "rectools", "torch", "pandas")
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    users, length = histories.shape
    frame = pd.DataFrame({Columns.User: np.repeat(np.arange(users), length), Columns.Item: histories.ravel()})
    frame[Columns.Datetime] = pd.to_datetime(np.tile(np.arange(length), users), unit="s")
    dataset = Dataset.construct(frame.assign(**{Columns.Weight: 1.0}))
    model: Any = SASRecModel(
        n_factors=DIM,
        n_blocks=LAYERS,
        n_heads=HEADS,
        session_max_len=MAX_LEN,
        item_net_block_types=(IdEmbeddingsItemNet,),
        recommend_torch_device="cpu",
        get_trainer_func=trainer,
    )
    model.fit(dataset)

    def many() -> np.ndarray:
        found = model.recommend(np.arange(users), dataset, k=K, filter_viewed=True)
        return found.sort_values([Columns.User, Columns.Rank])[Columns.Item].to_numpy().reshape(-1, K)

    def one(user: int) -> np.ndarray:
        return model.recommend([user], dataset, k=K, filter_viewed=True)[Columns.Item].to_numpy()

    def vectors(count: int) -> tuple[np.ndarray, np.ndarray]:
        asked = model.data_preparator.transform_dataset_u2i(dataset, np.arange(users))
        loader = model.data_preparator.get_dataloader_recommend(asked, 256)
        found, table = model.lightning_model._get_user_item_embeddings(loader, "cpu")
        inner = asked.item_id_map.convert_to_internal(np.arange(int(histories.max()) + 1))
        row = asked.user_id_map.convert_to_internal(np.arange(count))
        return found[row].numpy(), table[inner].numpy()

    weights = sum(weight.numel() for weight in model.lightning_model.torch_model.parameters())
    judge("RecTools", Recommender(many, one, vectors, weights), histories, args)


if __name__ == "__main__":
    main()
