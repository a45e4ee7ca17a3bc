"""SearchSASRec: SASRec that also knows what its user has searched for.

`recsys.models.search_fusions` says how the searches come in. Without a visible search the scores are SASRec's, to the
bit.
"""

from functools import partial
from typing import Literal

from torch import Tensor

from recsys.errors import InputError
from recsys.models.base import Loss
from recsys.models.batch import Batch
from recsys.models.sasrec import SASRec
from recsys.models.search_agreement import Direct, query_agreement
from recsys.models.search_fusions import Cross, Interleave, Pending
from recsys.models.searches import SearchBranch

Fusion = Literal["pending", "interleave", "cross"]


class SearchSASRec(SearchBranch, SASRec):
    """A SASRec with a search branch that starts at zero: the first step is exactly the SASRec that it grew from.

    Args:
        n_items: Size of the item vocabulary, padding included.
        max_len: Longest history, in items.
        dim: Width of items and hidden states.
        layers: Number of Transformer layers.
        heads: Attention heads per layer.
        inner_dim: Width of the feed-forward layers.
        dropout: Dropout of embeddings, hidden states and attention.
        content: Add to each item's own vector that of its title and categories; queries then go through the encoder of
            titles, or through a copy of their own where `share_text` is false.
        buckets: Rows of the table that character n-grams are hashed into.
        vector_width: Width of the vectors that came with the items.
        share_text: With content, one encoder for queries and titles.
        fusion: How searches come in: "pending" (added to the item behind which they stand), "interleave" (tokens
            between the items; not neutral at the start, so trained end to end), "cross" (late attention).
        gram_dropout: Share of a query's n-grams that is left out at random in training.
        agreement: Weight of a loss that queries agree with the items clicked among their results; above 0 what they say
            is also added to the scores beside the backbone (`recsys.models.search_agreement`).
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
        content: bool = False,
        buckets: int = 65536,
        vector_width: int = 0,
        share_text: bool = True,
        fusion: Fusion = "pending",
        gram_dropout: float = 0.5,
        agreement: float = 0.0,
    ) -> None:
        if agreement < 0:
            raise InputError(f"--model.network.init_args.agreement {agreement}: must be at least 0.")
        super().__init__(n_items, max_len, dim, layers, heads, inner_dim, dropout, content, buckets, vector_width)
        self.hyperparameters["fusion"] = fusion
        self.grow_reader(dim, buckets, gram_dropout, content, share_text)
        self.query_fusion: Pending | Interleave | Cross = (
            Cross(dim, heads, dropout)
            if fusion == "cross"
            else Interleave(dim)
            if fusion == "interleave"
            else Pending(dim)
        )
        self.agreement, self.query_direct = agreement, Direct() if agreement else None
        if agreement:
            self.hyperparameters["agreement"] = agreement

    @property
    def neutral(self) -> bool:
        """All but interleaved tokens start at zero."""
        return not isinstance(self.query_fusion, Interleave)

    def states(self, x: Tensor, batch: Batch) -> Tensor:
        """Hidden state at each point's position, `[points, dim]`, with the searches that the point may see."""
        places = self.position_embedding.weight[: x.shape[1]]
        at = (batch.point_row, batch.point_position)
        encoder = partial(self.attend, at=at) if isinstance(self.query_fusion, Pending | Cross) else self.attend
        searches = self.searches(batch)
        hidden: Tensor = self.query_fusion(x, places, searches, encoder)
        if self.query_direct is not None:
            hidden = hidden + self.query_direct(searches)
        return hidden[at]

    def training_loss(self, batch: Batch, loss: Loss) -> Tensor:
        """As every model; and the agreement of queries with what was clicked among their results."""
        total = super().training_loss(batch, loss)
        if not self.agreement:
            return total
        return total + self.agreement * query_agreement(self.tokens(batch), batch, self.item_embedding, self.n_items)
