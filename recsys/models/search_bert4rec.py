"""SearchBERT4Rec: BERT4Rec that also knows what its user has searched for, trained by prefix cloze.

A bidirectional network would see a query in what was clicked long before it. So searches meet the mask alone, and in
training the mask stands where it stands in prediction: behind a prefix of a history, which is all that is shown, with
the searches before the request that came next.
"""

from dataclasses import replace

import torch
from torch import Tensor

from recsys.models.batch import Batch
from recsys.models.bert4rec import BERT4Rec
from recsys.models.content import LazyTable, tied
from recsys.models.search_fusions import Pending
from recsys.models.searches import SearchBranch


class SearchBERT4Rec(SearchBranch, BERT4Rec):
    """A BERT4Rec with a search branch that starts at zero: the first step is exactly the BERT4Rec that it grew from.

    Args:
        n_items: Size of the item vocabulary, padding included.
        max_len: Longest sequence in items, the mask at its end included.
        dim: Width of items and hidden states.
        layers: Number of Transformer layers.
        heads: Attention heads per layer.
        inner_dim: Width of the feed-forward layers.
        dropout: Dropout of embeddings, hidden states and attention.
        initializer_range: Standard deviation of initial weights, as in BERT4Rec.
        content: Add to each item's own vector that of its title and categories; queries then go through the encoder of
            titles, or through a copy of their own where `share_text` is false.
        buckets: Rows of the table that character n-grams are hashed into.
        vector_width: Width of the vectors that came with the items.
        share_text: With content, one encoder for queries and titles.
        gram_dropout: Share of a query's n-grams that is left out at random in training.
        prefixes: Prefixes of a history, at most, that each step shows of it, drawn at random.
    """

    def __init__(
        self,
        n_items: int,
        max_len: int = 50,
        dim: int = 64,
        layers: int = 2,
        heads: int = 2,
        inner_dim: int = 256,
        dropout: float = 0.2,
        initializer_range: float = 0.02,
        content: bool = False,
        buckets: int = 65536,
        vector_width: int = 0,
        share_text: bool = True,
        gram_dropout: float = 0.5,
        prefixes: int = 16,
    ) -> None:
        super().__init__(
            n_items,
            max_len,
            dim,
            layers,
            heads,
            inner_dim,
            dropout,
            initializer_range=initializer_range,
            content=content,
            buckets=buckets,
            vector_width=vector_width,
        )
        for name in ("mask_ratio", "last_ratio"):  # of a cloze that is not ours
            del self.hyperparameters[name]
        self.hyperparameters["prefixes"] = self.prefixes = prefixes
        self.grow_reader(dim, buckets, gram_dropout, content, share_text)
        self.query_fusion = Pending(dim)

    def training_points(self, batch: Batch) -> tuple[Tensor, Tensor | LazyTable, Tensor]:
        """The mask behind prefixes of each history, drawn at random, and what the requests that came next led to."""
        chosen = some_of_each(batch, self.prefixes)
        renumbered = chosen.cumsum(0) - 1
        kept = chosen[batch.target_point]
        batch = replace(
            batch,
            point_row=batch.point_row[chosen],
            point_position=batch.point_position[chosen],
            request=batch.request[chosen],
            target_point=renumbered[batch.target_point[kept]],
            target_item=batch.target_item[kept],
            user=None if batch.user is None else batch.user[chosen],
        )
        item, count = self._asked(batch)
        x, rows = tied(self.item_embedding, item)
        return self._answers(x, item, count, batch)[batch.target_point], self._scored(rows), batch.target_item

    def _answers(self, x: Tensor, item: Tensor, count: Tensor, batch: Batch) -> Tensor:
        """As BERT4Rec; each mask reads all searches that its point sees, for nothing else would carry them on."""
        searches = self.searches(batch)
        added = self.query_fusion.added(searches, searches.seen)[batch.point_row, batch.point_position]
        mask = torch.arange(item.shape[0], device=item.device), count - 1
        return super()._answers(x.index_put(mask, x[mask] + added), item, count, batch)


def some_of_each(batch: Batch, count: int) -> Tensor:
    """`[points]` bool: of the points of each row that have a target, at most `count`, each with the same chance."""
    draw = torch.rand(len(batch), device=batch.item.device)
    asked = torch.zeros_like(draw, dtype=torch.bool).index_fill(0, batch.target_point, True)
    order = torch.where(asked, draw, 1.0).argsort()
    order = order[batch.point_row[order].argsort(stable=True)]  # row by row, those without a target last
    row = batch.point_row[order]
    within = torch.arange(len(row), device=row.device) - torch.searchsorted(row, row)
    return asked & torch.empty_like(asked).index_put((order,), within < count)
