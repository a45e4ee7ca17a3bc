"""Three ways to let a causal Transformer over items read searches. Each position sees those before its next request."""

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor, nn

from recsys.models.searches import AGES, Recency, Searches

Encoder = Callable[[Tensor, Tensor | None], Tensor]
"""States of tokens `[rows, tokens, dim]`; bool `[rows, tokens, tokens]` tells whom each sees, None: no later one."""


class Pending(nn.Module):
    """A search enters at the position after which it is legal, as far as its age then lets it; attention carries it on.

    This is Query-SeqRec's "early query" (CIKM 2022) under a strict rule of visibility. The searches that are new at a
    position are averaged, weighted by their age alone, with "nothing" as a further choice, and added to its item
    through a scale that starts at zero (ReZero, arXiv 2003.04887).
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.recency = Recency()
        self.scale = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, places: Tensor, searches: Searches, encoder: Encoder) -> Tensor:
        """Hidden states `[rows, length, dim]` of items `[rows, length, dim]` in places `[length, dim]`."""
        return encoder(x + places + self.added(searches, searches.new), None)

    def added(self, searches: Searches, among: Tensor) -> Tensor:
        """What the searches `among` `[rows, length, slots]` add at each position `[rows, length, dim]`."""
        mean: Tensor = self.recency(searches, among)[:, 0] @ searches.token
        return self.scale * mean


class Interleave(nn.Module):
    """Searches are tokens between the items (Query-SeqRec; USER, CIKM 2021), each behind what was clicked before it.

    A search shares its place's position vector; its kind and its age when the user came back are added. The state of a
    position is that of its last token. Not neutral at the start: one more token is in every softmax.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.kind, self.age = nn.Parameter(torch.zeros(dim)), nn.Embedding(AGES, dim)
        nn.init.normal_(self.kind, std=0.02)
        nn.init.normal_(self.age.weight, std=0.02)

    def forward(self, x: Tensor, places: Tensor, searches: Searches, encoder: Encoder) -> Tensor:
        """Hidden states `[rows, length, dim]` of items `[rows, length, dim]` in places `[length, dim]`."""
        rows, length, _ = x.shape
        slots = searches.position.shape[1]
        place = torch.arange(length, device=x.device)
        item_place, real = place.expand(rows, length), searches.position < length
        own = searches.position.clamp(max=length - 1)
        age = searches.age.gather(1, own[:, None, :])[:, 0]
        token = searches.token + places[own] + self.kind + self.age(age)
        # twice a token's place, and one more for a search: what stands before what
        order = torch.cat([2 * item_place, 2 * searches.position + 1], 1)
        sees = order[:, :, None] >= order[:, None, :]
        slot = torch.arange(slots, device=x.device)
        sees[:, length:, length:] &= slot[:, None] >= slot
        sees[:, :, length:] &= real[:, None, :]
        hidden = encoder(torch.cat([x + places, token], 1), sees)
        standing = real[:, None, :] & (own[:, None, :] == place[:, None])
        last = torch.where(standing, 1 + slot, 0).amax(-1)
        at = torch.where(last > 0, length + last - 1, place)
        return hidden.gather(1, at[..., None].expand(-1, -1, x.shape[-1]))


class Cross(nn.Module):
    """Late fusion: the state of a position attends to the searches that it sees, by what they say and by their age.

    UniSAR's decoder (SIGIR 2024) with T5's kind of bias, made to start at zero: search tokens are normalised, "nothing"
    is a choice with value 0, and a gate decides how much comes in. The backbone never changes, so that its states can
    be kept apart from the searches when serving.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.recency = Recency(heads)
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.value, self.out = (nn.Linear(dim, dim, bias=False) for _ in range(2))  # nothing read is nothing added
        nn.init.eye_(self.value.weight)  # what is read begins as the search itself, or the scale would grow too slowly
        nn.init.eye_(self.out.weight)
        self.gate = nn.Linear(2 * dim, dim)
        nn.init.zeros_(self.gate.weight)
        nn.init.ones_(self.gate.bias)
        self.inner = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.attended, self.fed = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, places: Tensor, searches: Searches, encoder: Encoder) -> Tensor:
        """Hidden states `[rows, length, dim]` of items `[rows, length, dim]` in places `[length, dim]`."""
        hidden = encoder(x + places, None)
        q, k, v = (
            linear(values).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear, values in ((self.query, hidden), (self.key, searches.token), (self.value, searches.token))
        )
        weight = self.recency(searches, searches.seen, q @ k.transpose(-1, -2) / sqrt(q.shape[-1]))
        context = self.out((weight @ v).transpose(1, 2).flatten(2))
        any_seen = searches.seen.any(-1, keepdim=True)
        gate = self.gate(torch.cat([hidden, context], -1)).sigmoid()
        hidden = hidden + any_seen * self.attended * self.dropout(gate * context)
        return hidden + any_seen * self.fed * self.dropout(self.inner(hidden))
