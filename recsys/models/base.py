"""The contract of every model, and the way into RecBole's classes without RecBole's side effects."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from recsys.errors import InputError
from recsys.models.batch import Batch
from recsys.models.content import ItemEmbedding, LazyTable

Loss = Callable[[Tensor, Tensor | LazyTable, Tensor], Tensor]
"""Of vectors `[targets, dim]`, all item vectors `[items, dim]`, and the items `[targets]`."""


class Model(nn.Module, ABC):
    """A network that is factored into history vectors and item vectors; a score is their dot product.

    One whose scores are no dot products has no item vectors, and `encode` gives the scores themselves.
    """

    hyperparameters: dict[str, Any]
    """The arguments of `__init__`: with the weights, all that is needed to build the model again."""
    n_items: int
    """Size of the item vocabulary, padding included."""
    uses_times: bool = False
    """Whether the model reads the times of a batch; training leaves out what is not read."""
    uses_searches: bool = False
    """Whether the model reads the searches of a batch."""
    brings_loss: bool = False
    """Whether the model is trained by a loss of its own alone, so that none can be chosen for it."""
    embeds_users: bool = False
    """Whether the model has a vector for each user of its data set, and so can answer for nobody else."""

    @property
    def title(self) -> str:
        """What people call the model."""
        return type(self).__name__

    @abstractmethod
    def encode(self, batch: Batch) -> Tensor:
        """One vector per prediction point `[points, dim]`, or its scores `[points, items]`."""

    @abstractmethod
    def item_vectors(self, item_ids: Tensor | None = None) -> Tensor | None:
        """Vectors of the items `[items, dim]`, of the whole vocabulary (row 0 is padding) when `item_ids` is None.

        None when `encode` gives the scores.
        """

    @property
    def described(self) -> ItemEmbedding | None:
        """What tells items by their content too; None where the model knows them by their ids alone."""
        embedding = getattr(self, "item_embedding", None)
        return embedding if isinstance(embedding, ItemEmbedding) else None

    def item_parts(self, item_ids: Tensor) -> dict[str, Tensor]:
        """What `item_vectors` are the sum of: "id", and "content" where it is read; nothing where there are none."""
        vectors = self.item_vectors(item_ids)
        if vectors is None or self.described is None:
            return {} if vectors is None else {"id": vectors}
        content = self.described.content_rows(item_ids)
        content = nn.functional.pad(content, (0, vectors.shape[1] - content.shape[1]))
        return {"id": vectors - content, "content": content}

    def own_loss(self, batch: Batch) -> Tensor | None:
        """The loss of a model that brings its own; None where any loss can be put upon `training_points`."""
        return None

    def candidate_scores(self, batch: Batch, candidates: Tensor) -> Tensor | None:
        """Scores `[points, k]` of the items `[points, k]` given to each point, 0 behind the last.

        None where scores are those of the dot product; a model that reads a history anew for each candidate can rate
        a list that it is given, but not a whole catalogue.
        """
        return None

    def training_loss(self, batch: Batch, loss: Loss) -> Tensor:
        """What a step of training makes smaller: `loss` upon `training_points`, or a loss of the model's own."""
        own = self.own_loss(batch)
        return loss(*self.training_points(batch)) if own is None else own

    def training_points(self, batch: Batch) -> tuple[Tensor, Tensor | LazyTable, Tensor]:
        """What a loss is given: vectors `[targets, dim]`, all item vectors `[items, dim]`, and the items `[targets]`.

        By default every target of every point of the history in one pass (SASRec, section III-E). A model that reads
        histories with its item vectors takes both from one `look_up`.
        """
        table = self.item_vectors()
        assert table is not None, "a model without item vectors has a loss of its own"
        return self.encode(batch)[batch.target_point], table, batch.target_item


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


def recbole_fields(max_len: int, **settings: Any) -> RecBoleConfig:
    """The settings of a model over histories of up to `max_len` items, with the names that a batch's fields have."""
    return RecBoleConfig(
        USER_ID_FIELD="user_id",
        ITEM_ID_FIELD="item_id",
        LIST_SUFFIX="_list",
        ITEM_LIST_LENGTH_FIELD="item_length",
        NEG_PREFIX="neg_",
        INVERSE_ITEM_SEQ="Inverse_item_id_list",
        MAX_ITEM_LIST_LENGTH=max_len,
        device=torch.device("cpu"),
        **settings,
    )


def recbole_config(
    max_len: int, dim: int, layers: int, heads: int, inner_dim: int, dropout: float, **settings: Any
) -> RecBoleConfig:
    """The configuration of one of RecBole's Transformers over histories of up to `max_len` items."""
    return recbole_fields(
        max_len,
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
    """What a RecBole model asks of its `dataset`: the numbers of items and users, padding included."""

    def __init__(self, n_items: int, n_users: int = 0, max_len: int = 0) -> None:
        self.item_num, self.user_num = n_items, n_users
        self.field2seqlen = {"item_id_list": max_len}

    def num(self, field: str) -> int:
        """RecBole's `dataset.num`."""
        return self.user_num if field == "user_id" else self.item_num
