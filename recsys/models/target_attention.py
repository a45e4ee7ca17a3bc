"""What SESRec and UniSAR share: one history of clicks and one of searches for each point, read by two heads.

One head makes a vector, for the dot product with any item. The other reads both histories anew for each candidate that
it is given (target attention: Zhou et al., KDD 2018), and is for short lists such as those that a request exposed.
"""

from abc import abstractmethod
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys.errors import InputError
from recsys.models.base import Loss
from recsys.models.batch import Batch, point_rows
from recsys.models.content import tied
from recsys.models.sasrec import SASRec
from recsys.models.searches import AGES, Latest, Searches, SearchReader, latest, lay_out

_DRAWN = 1024  # items that each query is told from, in SESRec and UniSAR alike
_AT_ONCE = 64  # candidates of each point that are rated at once


@dataclass(frozen=True)
class Past:
    """What each point sees of its user."""

    clicks: Tensor
    """`[points, length, dim]` items, oldest first; of a history of none, one of padding."""
    clicked: Tensor
    """`[points, length]` bool: whether there is one."""
    searches: Tensor
    """`[points, 1 + slots, dim]` searches, newest first, behind one that stands for none at all."""
    searched: Tensor
    """`[points, 1 + slots]` bool: whether there is one."""
    latest: Latest
    """The searches as they came."""
    empty: Tensor
    """`[points]` bool: without a click."""
    row: Tensor
    """`[points]` of the batch; points of one row are of one user."""


@dataclass(frozen=True)
class Reading:
    """What was made of the past."""

    state: Tensor
    """`[points, dim]` of the latest click."""
    sides: tuple[tuple[Tensor, Tensor], ...]
    """States `[points, tokens, dim]`, and what is added to attention over each set of them, -inf outside:
    `[points, sets, tokens]`."""
    loss: Callable[[], Tensor]
    """What this way of reading is trained by besides."""

    def take(self, points: Tensor) -> "Reading":
        """The same of these points."""
        return Reading(self.state[points], tuple((s[points], bias[points]) for s, bias in self.sides), self.loss)


class Encoder(nn.Module):
    """SASRec's way from vectors to states, with weights of its own."""

    def __init__(self, like: SASRec) -> None:
        super().__init__()
        self.norm, self.dropout, self.layers = map(deepcopy, (like.LayerNorm, like.dropout, like.trm_encoder))
        self.apply(like._init_weights)  # type: ignore[arg-type]

    def forward(self, x: Tensor, sees: Tensor) -> Tensor:
        """States of tokens `[rows, tokens, dim]`, each of which sees those in `sees` `[rows, tokens or 1, tokens]`."""
        mask = torch.zeros(sees.shape, dtype=x.dtype, device=x.device).masked_fill(~sees, -10000.0)[:, None]
        states: Tensor = self.layers(self.dropout(self.norm(x)), mask, output_all_encoded_layers=False)[-1]
        return states


class TargetAttention(SearchReader, SASRec):
    """SASRec's parts, not its way: each point is a row of its own, whose clicks see each other in both directions.

    A model says with `read` what it makes of a past. It is trained by the loss of its vectors, by the cross-entropy of
    its ratings of each target and of items clicked elsewhere in the batch, and by the agreement of queries with what
    was clicked among their results (InfoNCE in both directions, SESRec section 4.3).
    """

    n_sets: int
    """Sets that `read` sorts the tokens of each side into."""

    def grow_heads(
        self, dim: int, dropout: float, max_searches: int, negatives: int, agreement: float, temperature: float
    ) -> None:
        """Make what reads a past, and the two heads."""
        for name, number in {"max_searches": max_searches, "negatives": negatives}.items():
            if number < 1:
                raise InputError(f"--model.network.init_args.{name} {number}: must be at least 1.")
        if temperature <= 0:
            raise InputError(f"--model.network.init_args.temperature {temperature}: must be above 0.")
        self.hyperparameters |= {"max_searches": max_searches, "negatives": negatives}
        self.hyperparameters |= {"agreement": agreement, "temperature": temperature}
        self.max_searches, self.negatives, self.agreement = max_searches, negatives, agreement
        self.no_search = nn.Parameter(torch.empty(dim))
        self.search_place, self.search_age = nn.Embedding(max_searches, dim), nn.Embedding(AGES, dim)
        self.probes = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(2))
        wide = 2 * self.n_sets * dim
        self.answer = nn.Sequential(nn.Linear(wide, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, dim))
        self.answer_norm = nn.LayerNorm(dim)
        self.rating = nn.Sequential(
            *(nn.Linear(wide + dim, 200), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(200, 80), nn.ReLU(), nn.Dropout(dropout), nn.Linear(80, 1)),
        )
        self.agreeing = nn.Linear(dim, dim, bias=False)
        self.log_temperature = nn.Parameter(torch.tensor(temperature).log())
        for table in (self.no_search, self.search_place.weight, self.search_age.weight):
            nn.init.normal_(table, std=0.02)

    @abstractmethod
    def read(self, past: Past) -> Reading:
        """What the model makes of the past of each point."""

    def states(self, x: Tensor, batch: Batch) -> Tensor:
        """A vector for each point, `[points, dim]`, of the batch's item vectors `[rows, length, dim]`."""
        return self._answers(self.read(self._past(x, batch, self.searches(batch))))

    def candidate_scores(self, batch: Batch, candidates: Tensor) -> Tensor:
        """Ratings `[points, k]` of the items `[points, k]`, each by what it finds in the past."""
        reading = self.read(self._past(self.item_vectors(batch.item), batch, self.searches(batch)))
        return torch.cat([self._ratings(reading, self.item_vectors(i)) for i in candidates.split(_AT_ONCE, 1)], 1)

    def training_loss(self, batch: Batch, loss: Loss) -> Tensor:
        """All losses together; one look-up serves them all."""
        token = self.tokens(batch)
        search, item = batch.search_click, batch.search_click_item
        if search is None or item is None:
            search = item = token.new_zeros(0, dtype=torch.int64)
        negative, fresh = self._negatives(batch)
        rated = torch.cat([batch.target_item[:, None], negative], 1)
        drawn = torch.randint(1, self.n_items, (_DRAWN,), device=item.device)
        asked = [batch.item, rated, item, drawn]
        rows, table = tied(self.item_embedding, torch.cat([ids.flatten() for ids in asked]))
        x, theirs, clicks, others = (
            part.view(*ids.shape, rows.shape[1])
            for part, ids in zip(rows.split([ids.numel() for ids in asked]), asked, strict=True)
        )
        reading = self.read(self._past(x, batch, lay_out(batch, token)))
        total = loss(self._answers(reading)[batch.target_point], table, batch.target_item)
        rating = self._ratings(reading.take(batch.target_point), theirs)
        counted = F.pad(fresh, (1, 0), value=True)
        wanted = F.pad(torch.zeros_like(rating[:, 1:]), (1, 0), value=1.0)
        rating = F.binary_cross_entropy_with_logits(rating, wanted, counted.to(rating), reduction="sum")
        total = total + rating / counted.sum().clamp(min=1)
        known = self.agreeing(token), search, item, clicks, drawn, others
        return total + self.agreement * agreement(*known, self.log_temperature.exp()) + reading.loss()

    def _past(self, x: Tensor, batch: Batch, searches: Searches) -> Past:
        _, count = point_rows(batch)
        places = self.position_embedding.weight[: x.shape[1]]
        clicked = torch.arange(x.shape[1], device=x.device) < count.clamp(min=1)[:, None]
        clicks = (x[batch.point_row] + places) * clicked[..., None]
        seen = latest(searches, batch, self.max_searches)
        place = self.search_place.weight[: seen.token.shape[1]]
        known = torch.where(seen.real[..., None], seen.token + place + self.search_age(seen.age), 0.0)
        known = torch.cat([self.no_search.expand(known.shape[0], 1, -1), known], 1)
        searched = F.pad(seen.real, (1, 0), value=True)
        return Past(clicks, clicked, known, searched, seen, count == 0, batch.point_row)

    def _interests(self, reading: Reading, probe: Tensor) -> Tensor:
        """What each probe `[points, k, dim]` finds in each set of both sides `[points, k, 2 * sets * dim]`."""
        found = []
        for map_, (states, bias) in zip(self.probes, reading.sides, strict=True):
            logit = map_(probe) @ states.transpose(1, 2)
            weight = (logit[:, :, None] + bias[:, None]).softmax(-1)
            found.append((weight @ states[:, None]).flatten(2))
        return torch.cat(found, -1)

    def _answers(self, reading: Reading) -> Tensor:
        """Vectors `[points, dim]`: the latest click's state asks the past, and what it finds is added to it."""
        vectors: Tensor = self.answer_norm(
            reading.state + self.answer(self._interests(reading, reading.state[:, None])[:, 0])
        )
        return vectors

    def _ratings(self, reading: Reading, items: Tensor) -> Tensor:
        """Ratings `[points, k]` of item vectors `[points, k, dim]`."""
        rating: Tensor = self.rating(torch.cat([self._interests(reading, items), items], -1))
        return rating[..., 0]

    def _negatives(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """For each target, `[targets, negatives]` items clicked elsewhere in the batch, each as often as it is clicked.

        And whether each is a negative at all: neither another target of the point nor in its history.
        """
        target, point = batch.target_item, batch.target_point
        drawn = target[torch.randint(max(1, len(target)), (len(target), self.negatives), device=target.device)]
        mine = torch.isin(point[:, None] * self.n_items + drawn, point * self.n_items + target)
        history = point_rows(batch)[0][point]
        return drawn, ~mine & (drawn[..., None] != history[:, None]).all(-1)


def agreement(
    query: Tensor, search: Tensor, item: Tensor, clicks: Tensor, drawn: Tensor, others: Tensor, temperature: Tensor
) -> Tensor:
    """InfoNCE of pairs of a search and an item clicked among its results, by tanh(q · e) / temperature.

    Each query is to tell its item from the drawn ones, each item its query from the other queries of the batch; what
    was clicked too is no negative. The mean of both directions; 0 without a pair.

    Args:
        query: `[searches, dim]`.
        search: `[clicks]` the search of each pair.
        item: `[clicks]` the item of each pair.
        clicks: `[clicks, dim]` its vector.
        drawn: `[items]` other items.
        others: `[items, dim]` their vectors.
        temperature: what the similarities are divided by.
    """
    mine = query[search]
    own = (mine * clicks).sum(1).tanh() / temperature
    both = torch.cat([item, drawn])
    hit = torch.zeros(len(query), len(both), device=query.device)
    hit = hit.index_add(0, search, (item[:, None] == both).float()) > 0  # whether a search led to an item
    to_items = ((mine @ others.T).tanh() / temperature).masked_fill(hit[search, len(item) :], -torch.inf)
    to_queries = ((clicks @ query.T).tanh() / temperature).masked_fill(hit[:, : len(item)].T, -torch.inf)
    loss = sum(torch.cat([own[:, None], wrong], 1).logsumexp(1).sum() - own.sum() for wrong in (to_items, to_queries))
    return torch.as_tensor(loss) / (2 * max(1, len(item)))
