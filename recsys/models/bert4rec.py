"""BERT4Rec (Sun et al., CIKM 2019, arXiv 1904.06690): RecBole's network, trained by the paper's cloze.

Where RecBole 1.2.1 departs from the paper we do not follow it: the item that follows a training window is seen, every
masked position has a loss (the first one too), each history is masked on its own, and no item goes while there is room.
"""

from typing import Any

import torch
from torch import Tensor, nn

from recsys.models.base import ItemSpace, Model, recbole_class, recbole_config
from recsys.models.batch import Batch, point_rows
from recsys.models.content import ItemEmbedding, LazyTable, table_of, tied
from recsys.models.recbole_encoder import Points, encoded, fuse

_BERT4Rec: Any = recbole_class("BERT4Rec")


class BERT4Rec(_BERT4Rec, Model):
    """Bidirectional Transformer that fills in masked items; parameters carry RecBole's names.

    Args:
        n_items: Size of the item vocabulary, padding included.
        max_len: Longest sequence in items, the mask at its end included.
        dim: Width of items and hidden states (RecBole's `hidden_size`).
        layers: Number of Transformer layers.
        heads: Attention heads per layer.
        inner_dim: Width of the feed-forward layers.
        dropout: Dropout of embeddings, hidden states and attention.
        mask_ratio: Probability that an item of a training history is masked (the paper's rho, section 3.6).
        last_ratio: Share of training histories in which the last item alone is masked (section 3.6, "fine-tuning").
        initializer_range: Standard deviation of initial weights. At 0.02, the paper's, a narrow network starts with
            its attention all but silent, and on little data stays at popularity for long; `dim ** -0.5` wakes it.
        content: Add to each item's own vector that of its title and categories (`recsys.models.content`).
        buckets: Rows of the table that character n-grams are hashed into.
        vector_width: Width of the vectors that came with the items.
    """

    item_embedding: nn.Embedding
    position_embedding: nn.Embedding
    trm_encoder: nn.Module
    LayerNorm: nn.LayerNorm
    dropout: nn.Dropout
    output_ffn: nn.Linear
    output_gelu: nn.GELU
    output_ln: nn.LayerNorm
    output_bias: nn.Parameter
    max_seq_length: int
    mask_token: int
    mask_ratio: float

    def __init__(
        self,
        n_items: int,
        max_len: int = 50,
        dim: int = 64,
        layers: int = 2,
        heads: int = 2,
        inner_dim: int = 256,
        dropout: float = 0.2,
        mask_ratio: float = 0.2,
        last_ratio: float = 0.1,
        initializer_range: float = 0.02,
        content: bool = False,
        buckets: int = 65536,
        vector_width: int = 0,
    ) -> None:
        settings = {"mask_ratio": mask_ratio, "initializer_range": initializer_range}
        config = recbole_config(max_len, dim, layers, heads, inner_dim, dropout, **settings)
        super().__init__(config, ItemSpace(n_items))
        fuse(self.trm_encoder)
        self.last_ratio = last_ratio
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
            "mask_ratio": mask_ratio,
            "last_ratio": last_ratio,
            "initializer_range": initializer_range,
            **({"content": True, "buckets": buckets, "vector_width": vector_width} if content else {}),
        }

    def encode(self, batch: Batch) -> Tensor:
        """State of a mask put behind each point's history, with a 1 that meets the item bias: `[points, dim + 1]`."""
        item, count = self._asked(batch)
        return self._answers(self.item_embedding(item), item, count, batch)

    def item_vectors(self, item_ids: Tensor | None = None) -> Tensor:
        """Item embeddings with the output bias as last column: `[items, dim + 1]`."""
        rows = table_of(self.item_embedding) if item_ids is None else self.item_embedding(item_ids)
        return self._with_bias(rows, item_ids)

    def training_points(self, batch: Batch) -> tuple[Tensor, Tensor | LazyTable, Tensor]:
        """The masked positions of whole training histories and the items that belong there (section 3.6)."""
        count = (batch.item > 0).sum(1)
        item, count = self._append(batch.item, count, batch.next_item)
        masked = self._draw_mask(item, count)
        shown = torch.where(masked, self.mask_token, item)
        x, rows = tied(self.item_embedding, shown)
        return self._with_one(self.hidden(x, shown)[masked]), self._scored(rows), item[masked]

    def _asked(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What each point sees with a mask behind it `[points, length]`, and the number of these `[points]`."""
        item, count = point_rows(batch)
        return self._append(item, count, torch.full_like(count, self.mask_token))

    def _answers(self, x: Tensor, item: Tensor, count: Tensor, batch: Batch) -> Tensor:
        """The state of the mask at the end of each of these, whose embeddings are `x`: `[points, dim + 1]`."""
        at = (torch.arange(item.shape[0], device=item.device), count - 1)
        return self._with_one(self.hidden(x, item, at))

    def hidden(self, x: Tensor, item: Tensor, at: Points | None = None) -> Tensor:
        """States `[rows, length, dim]` of the items' embeddings of the same shape: RecBole's `forward` behind them.

        Or those `at` some points, `[points, dim]`.
        """
        x = self.dropout(self.LayerNorm(x + self.position_embedding.weight[: x.shape[1]]))
        mask = torch.where(item > 0, 0.0, -10000.0)[:, None, None]
        x = encoded(self.trm_encoder, x, mask, at)
        x = x if at is None else x[at]
        vectors: Tensor = self.output_ln(self.output_gelu(self.output_ffn(x)))
        return vectors

    def _scored(self, rows: Tensor | LazyTable) -> Tensor | LazyTable:
        """The table that scores are made of, from the one that histories are read with."""
        if isinstance(rows, Tensor):
            return self._with_bias(rows)
        return LazyTable(lambda ids: self._with_bias(rows(ids), ids), self.n_items)

    def _with_bias(self, rows: Tensor, item_ids: Tensor | None = None) -> Tensor:
        """The rows of items, or of all of them and the mask behind, and their biases."""
        bias: Tensor = self.output_bias
        if self.described is not None:  # a bias is as much of an id as its vector
            bias = bias * self.described.has_id[: self.n_items]
        if item_ids is not None:
            return torch.cat([rows, bias[item_ids, None]], dim=-1)
        return torch.cat([rows[: self.n_items], bias[:, None]], dim=-1)

    def _append(self, item: Tensor, count: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Put `last` behind each history; where there is no room left, and only there, the oldest item goes."""
        item = nn.functional.pad(item, (0, 1)).scatter(1, count[:, None], last[:, None])
        count = count + (last > 0)
        surplus = (count - self.max_seq_length).clamp(min=0)
        length = min(item.shape[1], self.max_seq_length)
        index = torch.arange(length, device=item.device) + surplus[:, None]
        return item.gather(1, index.clamp(max=item.shape[1] - 1)), count - surplus

    def _draw_mask(self, item: Tensor, count: Tensor) -> Tensor:
        """`[rows, length]` bool; at least one item of every non-empty row is masked."""
        real = item > 0
        position = torch.arange(item.shape[1], device=item.device)
        draw = torch.rand(item.shape, device=item.device)
        masked = (draw < self.mask_ratio) & real
        chosen = draw.masked_fill(~real, 2.0).argmin(1)
        masked |= (position == chosen[:, None]) & real
        last_only = torch.rand(len(item), 1, device=item.device) < self.last_ratio
        return torch.where(last_only, (position == count[:, None] - 1) & real, masked)

    @staticmethod
    def _with_one(hidden: Tensor) -> Tensor:
        return nn.functional.pad(hidden, (0, 1), value=1.0)
