"""SESRec (Si et al., SIGIR 2023, arXiv 2305.10822): what of the clicks the searches agree with, and what they do not.

Where its code departs from what can be known, or breaks down, we do not follow it: a search without clicks has no item
made up for it, one without any search has a token that says so, and points see nothing later than themselves.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys.models.target_attention import Encoder, Past, Reading, TargetAttention

_MARGIN = 0.1


class SESRec(TargetAttention):
    """Clicks and searches each have an encoder; co-attention tells in each which are like the other's.

    A user's interests are six: of either side all tokens, those alike and those unlike.

    Args:
        n_items: Size of the item vocabulary, padding included.
        max_len: Longest history, in items.
        dim: Width of items and hidden states.
        layers: Number of Transformer layers of each encoder.
        heads: Attention heads per layer.
        inner_dim: Width of the feed-forward layers.
        dropout: Dropout of embeddings, hidden states and attention.
        content: Add to each item's own vector that of its title and categories; queries then go through the encoder of
            titles, or through one of their own where `share_text` is false.
        buckets: Rows of the table that the character n-grams of queries are hashed into.
        vector_width: Width of the vectors that came with the items.
        share_text: With content, one encoder for queries and titles.
        gram_dropout: Share of a query's n-grams that is left out at random in training.
        max_searches: Searches of each point that are read, the latest.
        split: "hard": a token is alike if it has at least its equal share of the attention, as in the paper. "soft":
            each is alike by its weight, which then learns from every loss.
        negatives: Items clicked elsewhere that each target is rated beside.
        agreement: Weight of the loss that queries and what was clicked among their results agree.
        temperature: Of that loss, to begin with.
        contrast: Weight of the triplet loss between tokens alike and unlike.
    """

    n_sets = 3

    def __init__(
        self,
        n_items: int,
        max_len: int = 50,
        dim: int = 64,
        layers: int = 1,
        heads: int = 2,
        inner_dim: int = 64,
        dropout: float = 0.1,
        content: bool = False,
        buckets: int = 65536,
        vector_width: int = 0,
        share_text: bool = True,
        gram_dropout: float = 0.5,
        max_searches: int = 20,
        split: Literal["hard", "soft"] = "hard",
        negatives: int = 4,
        agreement: float = 0.1,
        temperature: float = 0.1,
        contrast: float = 0.001,
    ) -> None:
        super().__init__(n_items, max_len, dim, layers, heads, inner_dim, dropout, content, buckets, vector_width)
        self.grow_reader(dim, buckets, gram_dropout, content, share_text)
        self.grow_heads(dim, dropout, max_searches, negatives, agreement, temperature)
        self.hyperparameters |= {"split": split, "contrast": contrast}
        self.split, self.contrast = split, contrast
        self.search_encoder = Encoder(self)
        self.relation = nn.Linear(dim, dim, bias=False)
        self.click_vote, self.search_vote = nn.Linear(dim, 1, bias=False), nn.Linear(dim, 1, bias=False)

    def read(self, past: Past) -> Reading:
        """Encode both sides, and sort the tokens of each by their share of the other's attention (section 4.4)."""
        clicks = self.attend(past.clicks, past.clicked[:, None])
        searches = self.search_encoder(past.searches, past.searched[:, None])
        related = (self.relation(clicks) @ searches.transpose(1, 2)).tanh()
        to_searches = ((self.click_vote(clicks) * past.clicked[..., None]) * related).sum(1)
        to_clicks = ((self.search_vote(searches) * past.searched[..., None]).transpose(1, 2) * related).sum(2)
        sides = (clicks, to_clicks, past.clicked), (searches, to_searches, past.searched)
        shares = [(states, logit.masked_fill(~real, -torch.inf).softmax(1), real) for states, logit, real in sides]
        last = past.clicked.sum(1) - 1
        return Reading(
            state=clicks[torch.arange(clicks.shape[0], device=clicks.device), last],
            sides=tuple((states, self._sets(share, real)) for states, share, real in shares),
            loss=partial(self._contrasts, shares),
        )

    def _sets(self, share: Tensor, real: Tensor) -> Tensor:
        """What is added to attention over all tokens, those alike and those unlike `[points, 3, tokens]`."""
        alike, unlike = sorted_by(share, real)
        if self.split == "soft":
            weight = torch.stack([torch.ones_like(share), share, 1 - share], 1).clamp(min=1e-6).log()
            return weight.masked_fill(~real[:, None], -torch.inf)
        # a set without any token is all of them
        sets = [part | (real & ~part.any(1, keepdim=True)) for part in (real, alike, unlike)]
        return torch.zeros_like(share)[:, None].masked_fill(~torch.stack(sets, 1), -torch.inf)

    def _contrasts(self, shares: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
        """Triplet losses: the mean by attention is nearer to the tokens alike than to those unlike (section 4.4)."""
        total = torch.zeros((), device=shares[0][0].device)
        for states, share, real in shares:
            alike, unlike = sorted_by(share, real)
            both = alike.any(1) & unlike.any(1)
            mine, near, far = (
                (weight[..., None] * states).sum(1) / weight.sum(1).clamp(min=1e-6)[:, None]
                for weight in (share, alike.to(share), unlike.to(share))
            )
            loss = F.triplet_margin_loss(mine, near, far, margin=_MARGIN, reduction="none")
            total = total + (loss * both).sum() / both.sum().clamp(min=1)
        return self.contrast * total


def sorted_by(share: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Of tokens with these shares of attention `[points, tokens]`: those with their equal share, and the others."""
    alike = real & (share * real.sum(1, keepdim=True) >= 1)
    return alike, real & ~alike
