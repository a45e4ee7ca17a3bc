"""SASRec (Kang and McAuley, ICDM 2018, arXiv 1808.09781): RecBole's network, trained on all positions in one pass."""

from typing import Any

import torch
from torch import Tensor, nn

from recsys.models.base import ItemSpace, Model, recbole_class, recbole_config
from recsys.models.batch import Batch
from recsys.models.tied import look_up

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
    ) -> None:
        config = recbole_config(max_len, dim, layers, heads, inner_dim, dropout)
        super().__init__(config, ItemSpace(n_items))
        self.hyperparameters = {
            "n_items": n_items,
            "max_len": max_len,
            "dim": dim,
            "layers": layers,
            "heads": heads,
            "inner_dim": inner_dim,
            "dropout": dropout,
        }

    def encode(self, batch: Batch) -> Tensor:
        """Hidden state at each point's position: `[points, dim]`."""
        return self.states(self.item_vectors(batch.item), batch)

    def training_points(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """As every model; the table has one gradient."""
        x, table = look_up(self.item_vectors(), batch.item)
        return self.states(x, batch)[batch.target_point], table, batch.target_item

    def states(self, x: Tensor, batch: Batch) -> Tensor:
        """Hidden state at each point's position, `[points, dim]`, of the batch's item vectors `[rows, length, dim]`."""
        return self.hidden(x)[batch.point_row, batch.point_position]

    def hidden(self, x: Tensor) -> Tensor:
        """Hidden states `[rows, length, dim]` of item embeddings of the same shape.

        Rows are padded on the right, so the causal mask alone keeps padding out of sight.
        """
        length = x.shape[1]
        x = x + self.position_embedding.weight[:length]
        x = self.dropout(self.LayerNorm(x))
        blocked = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        mask = torch.zeros(length, length, dtype=x.dtype, device=x.device).masked_fill(blocked, -10000.0)
        return self.trm_encoder(x, mask, output_all_encoded_layers=False)[-1]

    def item_vectors(self, item_ids: Tensor | None = None) -> Tensor:
        """The item embeddings: SASRec shares its input and output table (section III-C)."""
        return self.item_embedding.weight if item_ids is None else self.item_embedding(item_ids)
