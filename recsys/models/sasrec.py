"""SASRec (Kang and McAuley, ICDM 2018, arXiv 1808.09781): RecBole's network, trained on all positions in one pass."""

from typing import Any

import torch
from torch import Tensor, nn

from recsys.models.base import ItemSpace, Model, recbole_class, recbole_config
from recsys.models.batch import Batch
from recsys.models.content import ItemEmbedding, LazyTable, table_of, tied
from recsys.models.recbole_encoder import Points, encoded, fuse

_SASRec: Any = recbole_class("SASRec")


class SASRec(_SASRec, Model):
    """Causal Transformer over the history; parameters carry RecBole's names, so state dicts interchange.

    Args:
        n_items: Size of the item vocabulary, padding included.
        max_len: Longest history, in items.
        dim: Width of items and hidden states (RecBole's `hidden_size`).
        layers: Number of Transformer layers.
        heads: Attention heads per layer.
        inner_dim: Width of the feed-forward layers.
        dropout: Dropout of embeddings, hidden states and attention.
        content: Add to each item's own vector that of its title and categories (`recsys.models.content`).
        buckets: Rows of the table that character n-grams are hashed into.
        vector_width: Width of the vectors that came with the items.
    """

    item_embedding: nn.Embedding
    position_embedding: nn.Embedding
    trm_encoder: nn.Module
    LayerNorm: nn.LayerNorm
    dropout: nn.Dropout

    def __init__(
        self,
        n_items: int,
        max_len: int = 50,
        dim: int = 64,
        layers: int = 2,
        heads: int = 2,
        inner_dim: int = 256,
        dropout: float = 0.2,
        content: bool = False,
        buckets: int = 65536,
        vector_width: int = 0,
    ) -> None:
        config = recbole_config(max_len, dim, layers, heads, inner_dim, dropout)
        super().__init__(config, ItemSpace(n_items))
        fuse(self.trm_encoder)
        if content:
            self.item_embedding = ItemEmbedding(self.item_embedding, buckets, vector_width)
        self.hyperparameters = {
            "n_items": n_items,
            "max_len": max_len,
            "dim": dim,
            "layers": layers,
            "heads": heads,
            "inner_dim": inner_dim,
            "dropout": dropout,
            **({"content": True, "buckets": buckets, "vector_width": vector_width} if content else {}),
        }

    def encode(self, batch: Batch) -> Tensor:
        """Hidden state at each point's position: `[points, dim]`."""
        return self.states(self.item_vectors(batch.item), batch)

    def training_points(self, batch: Batch) -> tuple[Tensor, Tensor | LazyTable, Tensor]:
        """As every model; the table has one gradient."""
        x, table = tied(self.item_embedding, batch.item)
        return self.states(x, batch)[batch.target_point], table, batch.target_item

    def states(self, x: Tensor, batch: Batch) -> Tensor:
        """Hidden state at each point's position, `[points, dim]`, of the batch's item vectors `[rows, length, dim]`."""
        at = (batch.point_row, batch.point_position)
        return self.hidden(x, at)[at]

    def hidden(self, x: Tensor, at: Points | None = None) -> Tensor:
        """Hidden states `[rows, length, dim]` of item embeddings of the same shape; those `at` some points at least.

        Rows are padded on the right, so the causal mask alone keeps padding out of sight.
        """
        return self.attend(x + self.position_embedding.weight[: x.shape[1]], at=at)

    def attend(self, x: Tensor, sees: Tensor | None = None, at: Points | None = None) -> Tensor:
        """Hidden states of tokens `[rows, tokens, dim]`, positions included; of those `at` some points at least.

        `sees` `[rows, tokens, tokens]` bool tells whom each token sees; by default itself and what comes before it.
        """
        length = x.shape[1]
        x = self.dropout(self.LayerNorm(x))
        blocked = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)[None, None]
        if sees is not None:
            blocked = ~sees[:, None]
        mask = torch.zeros(blocked.shape, dtype=x.dtype, device=x.device).masked_fill(blocked, -10000.0)
        return encoded(self.trm_encoder, x, mask, at)

    def item_vectors(self, item_ids: Tensor | None = None) -> Tensor:
        """The item embeddings: SASRec shares its input and output table (section III-C)."""
        return table_of(self.item_embedding) if item_ids is None else self.item_embedding(item_ids)
