"""UniSAR (Shi et al., SIGIR 2024, arXiv 2404.09520): how users go on from clicks to searches, and back.

Where its code departs from what can be known, or breaks down, we do not follow it: a user without clicks or without
searches has a token in their place, and nobody sees a search that comes later. Searches are not targets here, so that
the experts for two tasks (PLE) are one network.
"""

from functools import partial

import torch
from torch import Tensor, nn

from recsys.models.target_attention import Encoder, Past, Reading, TargetAttention


class UniSAR(TargetAttention):
    """Clicks among clicks, searches among searches, and each in the light of the other kind, all brought together.

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
        negatives: Items clicked elsewhere that each target is rated beside.
        agreement: Weight of the loss that queries and what was clicked among their results agree.
        temperature: Of that loss, to begin with.
        alignment: Weight of the loss that both views of one user agree.
    """

    n_sets = 1

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
        negatives: int = 4,
        agreement: float = 0.001,
        temperature: float = 0.5,
        alignment: float = 0.1,
    ) -> None:
        super().__init__(n_items, max_len, dim, layers, heads, inner_dim, dropout, content, buckets, vector_width)
        self.grow_reader(dim, buckets, gram_dropout, content, share_text)
        self.grow_heads(dim, dropout, max_searches, negatives, agreement, temperature)
        self.hyperparameters |= {"alignment": alignment}
        self.weight = alignment
        self.search_encoder, self.cross_encoder = Encoder(self), Encoder(self)
        self.click_decoder, self.search_decoder = (
            nn.TransformerDecoderLayer(dim, heads, inner_dim, dropout, "gelu", batch_first=True) for _ in range(2)
        )
        self.click_alignment, self.search_alignment = Alignment(dim), Alignment(dim)

    def read(self, past: Past) -> Reading:
        """Three encoders, and for each kind a decoder of its states among their own by those in the other's light."""
        clicked, searched = past.clicked, past.searched
        clicks = self.attend(past.clicks, clicked[:, None])
        searches = self.search_encoder(past.searches, searched[:, None])
        crossed_clicks, crossed_searches = self._crossed(past)
        views = (clicks, crossed_clicks, clicked), (searches, crossed_searches, searched)
        decoders = self.click_decoder, self.search_decoder
        states = [
            decoder(own, crossed, tgt_key_padding_mask=~real, memory_key_padding_mask=~real)
            for decoder, (own, crossed, real) in zip(decoders, views, strict=True)
        ]
        return Reading(
            state=states[0][torch.arange(clicks.shape[0], device=clicks.device), clicked.sum(1) - 1],
            sides=tuple(
                (state, torch.zeros_like(state[..., 0]).masked_fill(~real, -torch.inf)[:, None])
                for state, real in zip(states, (clicked, searched), strict=True)
            ),
            loss=partial(self._aligned, past, views),
        )

    def _crossed(self, past: Past) -> tuple[Tensor, Tensor]:
        """States of clicks and searches that each see the other kind alone (section 4.2.2).

        A search has the place of the item behind which it stands.
        """
        places = self.position_embedding(past.latest.position.clamp(max=past.clicks.shape[1] - 1))
        standing = past.searches.clone()
        standing[:, 1:] += places * past.searched[:, 1:, None]
        length = past.clicks.shape[1]
        real = torch.cat([past.clicked, past.searched], 1)
        search = torch.arange(real.shape[1], device=real.device) >= length
        sees = real[:, None] & (search[:, None] != search)
        states = self.cross_encoder(torch.cat([past.clicks, standing], 1), sees)
        return states[:, :length], states[:, length:]

    def _aligned(self, past: Past, views: tuple[tuple[Tensor, Tensor, Tensor], ...]) -> Tensor:
        """Of those who have clicked and searched: what is said of them in two views (section 4.3)."""
        both = ~past.empty & past.searched[:, 1:].any(1)
        total = past.clicks.new_zeros(())
        for align, (own, crossed, real) in zip((self.click_alignment, self.search_alignment), views, strict=True):
            weight = real[both, :, None].to(own)
            means = ((states[both] * weight).sum(1) / weight.sum(1) for states in (own, crossed))
            total = total + align(*means, past.row[both])
        return self.weight * total


class Alignment(nn.Module):
    """InfoNCE between two views of the same users, by tanh(a W b) / temperature; all others of both are negatives."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.map = nn.Linear(dim, dim, bias=False)
        self.log_temperature = nn.Parameter(torch.tensor(0.1).log())

    def forward(self, one: Tensor, other: Tensor, user: Tensor) -> Tensor:
        """Mean loss of views `[points, dim]`, 0 of none; points of one `user` `[points]` are no negatives."""
        n = len(one)
        views, user = torch.cat([one, other]), torch.cat([user, user])
        likeness = (self.map(views) @ views.T).tanh() / self.log_temperature.exp()
        place = torch.arange(2 * n, device=user.device)
        partner = (place + n) % max(1, 2 * n)
        own = likeness.gather(1, partner[:, None])
        others = likeness.masked_fill(user[:, None] == user, -torch.inf)
        return (torch.cat([own, others], 1).logsumexp(1).sum() - own.sum()) / max(1, 2 * n)
