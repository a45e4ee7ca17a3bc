"""The contract of every model, and the way into RecBole's classes without RecBole's side effects."""

from abc import ABC, abstractmethod
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from recsys.errors import InputError
from recsys.models.batch import Batch


class Model(nn.Module, ABC):
    """A network that is factored into history vectors and item vectors; a score is their dot product."""

    hyperparameters: dict[str, Any]
    """The arguments of `__init__`: with the weights, all that is needed to build the model again."""
    n_items: int
    """Size of the item vocabulary, padding included."""
    uses_searches: bool = False
    """Whether the model reads the searches of a batch."""

    @abstractmethod
    def encode(self, batch: Batch) -> Tensor:
        """One vector per prediction point: `[points, dim]`."""

    @abstractmethod
    def item_vectors(self, item_ids: Tensor | None = None) -> Tensor:
        """Vectors of the items `[items, dim]`, of the whole vocabulary (row 0 is padding) when None."""

    def training_points(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the loss is computed on: vectors `[targets, dim]` and the items `[targets]` that they should score.

        By default every target of every point of the history in one pass (SASRec, section III-E).
        """
        return self.encode(batch)[batch.target_point], batch.target_item


def recbole_class(name: str) -> Any:
    """One of RecBole's sequential models; anomaly mode, which its import switches on, stays as it was.

    Raises:
        InputError: RecBole is not installed.
    """
    anomaly = torch.is_anomaly_enabled()
    try:
        return getattr(import_module("recbole.model.sequential_recommender"), name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"RecBole cannot be imported ({error}). Install it with: pip install --no-deps recbole==1.2.1"
        ) from error
    finally:
        torch.autograd.set_detect_anomaly(anomaly)


class RecBoleConfig(dict):
    """What a RecBole model asks of its `config`: item access that gives None for what is missing."""

    def __missing__(self, key: str) -> None:
        return None


def recbole_config(
    max_len: int, dim: int, layers: int, heads: int, inner_dim: int, dropout: float, **settings: Any
) -> RecBoleConfig:
    """The configuration of one of RecBole's Transformers over histories of up to `max_len` items."""
    return RecBoleConfig(
        USER_ID_FIELD="user_id",
        ITEM_ID_FIELD="item_id",
        LIST_SUFFIX="_list",
        ITEM_LIST_LENGTH_FIELD="item_length",
        NEG_PREFIX="neg_",
        MAX_ITEM_LIST_LENGTH=max_len,
        device=torch.device("cpu"),
        loss_type="CE",
        n_layers=layers,
        n_heads=heads,
        hidden_size=dim,
        inner_size=inner_dim,
        hidden_dropout_prob=dropout,
        attn_dropout_prob=dropout,
        hidden_act="gelu",
        layer_norm_eps=1e-12,
        **{"initializer_range": 0.02} | settings,
    )


class ItemSpace:
    """What a RecBole model asks of its `dataset`: the number of items, padding included."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items

    def num(self, field: str) -> int:
        """RecBole's `dataset.num`."""
        return self.n_items
