"""SearchSASRec: SASRec that also knows what its user has searched for.

`pending` fusion: a query is added to the input at the position after which it is legal, and causal attention carries
it forward (the injection of Query-SeqRec's "early query", CIKM 2022, with a strict visibility rule). Without a visible
search the scores are SASRec's, to the bit.
"""

from typing import Any

import torch
from torch import Tensor, nn

from recsys.models.batch import Batch
from recsys.models.sasrec import SASRec
from recsys.models.text import TextEncoder

QUERY_TYPES = 9


class SearchSASRec(SASRec):
    """A SASRec with a search branch that starts at zero: the first step is exactly the SASRec that it grew from.

    Args:
        n_items: Size of the item vocabulary, padding included.
        max_len: Longest history, in items.
        dim: Width of items and hidden states.
        layers: Number of Transformer layers.
        heads: Attention heads per layer.
        inner_dim: Width of the feed-forward layers.
        dropout: Dropout of embeddings, hidden states and attention.
        buckets: Rows of the table that the character n-grams of queries are hashed into.
    """

    uses_searches = True

    def __init__(
        self,
        n_items: int,
        max_len: int = 50,
        dim: int = 64,
        layers: int = 2,
        heads: int = 2,
        inner_dim: int = 256,
        dropout: float = 0.2,
        buckets: int = 65536,
    ) -> None:
        super().__init__(n_items, max_len, dim, layers, heads, inner_dim, dropout)
        self.hyperparameters = {**self.hyperparameters, "buckets": buckets}
        self.query_text = TextEncoder(dim, buckets)
        self.query_type = nn.Embedding(QUERY_TYPES, dim)
        nn.init.normal_(self.query_type.weight, std=0.02)
        self.query_norm = nn.LayerNorm(dim)  # a query weighs as much as another, whatever its length
        self.query_scale = nn.Parameter(torch.zeros(dim))  # ReZero (arXiv 2003.04887): neutral at step 0

    def states(self, x: Tensor, batch: Batch) -> Tensor:
        """Hidden state at each point's position, `[points, dim]`, with the searches that the point may see."""
        if len(batch.search_row):
            x = x + self.query_scale * self._pending(batch)
        return self.hidden(x)[batch.point_row, batch.point_position]

    def backbone(self) -> list[nn.Parameter]:
        """The parameters of the SASRec inside."""
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("query_")]

    def _pending(self, batch: Batch) -> Tensor:
        """Mean of the search tokens that stand at each position: `[rows, length, dim]`."""
        token = self.query_norm(self.query_text(batch.search_gram) + self.query_type(batch.search_type))
        rows, length = batch.item.shape
        place = batch.search_row * length + batch.search_position
        total = token.new_zeros(rows * length, token.shape[1]).index_add(0, place, token)
        count = token.new_zeros(rows * length).index_add(0, place, torch.ones_like(place, dtype=token.dtype))
        return (total / count.clamp(min=1)[:, None]).view(rows, length, -1)

    def load_backbone(self, state: dict[str, Any]) -> None:
        """Take over the weights of a SASRec of the same shape."""
        missing, unexpected = self.load_state_dict(state, strict=False)
        if unexpected or any(not name.startswith("query_") for name in missing):
            raise ValueError(f"not the weights of this SASRec: missing {missing}, unexpected {unexpected}")
