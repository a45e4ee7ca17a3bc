"""What every model that reads searches has: their tokens, laid out by row, and how much each counts by its age."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recsys.errors import InputError
from recsys.models.base import Model
from recsys.models.batch import Batch
from recsys.models.text import TextEncoder

QUERY_TYPES = 9

AGES = 48
"""Half octaves of seconds: the last one begins after 97 days."""
_PACE = 4.0  # Adam moves any number by about its learning rate a step; what decides between searches must move faster
_FADING = 0.125  # less for each half octave, to begin with
_NOTHING = -3.0  # as much as a search of an hour ago, to begin with


@dataclass(frozen=True)
class Searches:
    """The searches of each row in order of time, padded to one number of `slots`."""

    token: Tensor
    """`[rows, slots, dim]`, 0 where there is none."""
    position: Tensor
    """`[rows, slots]` the first position that sees the search; behind the last one where there is none."""
    age: Tensor
    """`[rows, length, slots]` its age when the user came back after each position, in half octaves of seconds."""

    @property
    def seen(self) -> Tensor:
        """`[rows, length, slots]` bool: whether a position sees a search."""
        return self.position[:, None, :] <= self._place

    @property
    def new(self) -> Tensor:
        """`[rows, length, slots]` bool: whether a position is the first that sees a search."""
        return self.position[:, None, :] == self._place

    @property
    def _place(self) -> Tensor:
        return torch.arange(self.age.shape[1], device=self.position.device)[:, None]


def lay_out(batch: Batch, token: Tensor) -> Searches:
    """Arrange the `token` `[searches, dim]` of a batch's searches by row; ages are 0 where nobody knows times."""
    rows, length = batch.item.shape
    count = torch.bincount(batch.search_row, minlength=rows)
    slots = max(1, int(count.max()))
    place = torch.arange(len(token), device=token.device) - (count.cumsum(0) - count)[batch.search_row]
    place = place + batch.search_row * slots

    def arranged(values: Tensor, missing: int) -> Tensor:
        whole = values.new_full((rows * slots, *values.shape[1:]), missing)
        return whole.index_copy(0, place, values).view(rows, slots, *values.shape[1:])

    if batch.search_timestamp is None or batch.request_timestamp is None:
        age = torch.zeros(rows, length, slots, dtype=torch.int64, device=token.device)
    else:
        passed = batch.request_timestamp[:, :, None] - arranged(batch.search_timestamp, 0)[:, None, :]
        age = (2 * passed.clamp(min=1).double().log2()).long().clamp(max=AGES - 1)
    return Searches(arranged(token, 0), arranged(batch.search_position, length), age)


class Recency(nn.Module):
    """A number for each age and one for nothing, for each head: what a softmax chooses among when it reads searches."""

    def __init__(self, heads: int = 1) -> None:
        super().__init__()
        fading = -_FADING * torch.arange(AGES, dtype=torch.float32)[:, None].expand(AGES, heads)
        self.age = nn.Parameter(fading / _PACE)
        self.nothing = nn.Parameter(torch.full((heads,), _NOTHING / _PACE))

    def forward(self, searches: Searches, among: Tensor, content: Tensor | float = 0.0) -> Tensor:
        """Weights `[rows, heads, length, slots]` of the searches `among` `[rows, length, slots]` which is chosen.

        What is missing to 1 goes to nothing, all of it where there is no search. `content` `[rows, heads, length,
        slots]` is what else speaks for each search.
        """
        logit = _PACE * nn.functional.embedding(searches.age, self.age).permute(0, 3, 1, 2) + content
        logit = logit.masked_fill(~among[:, None], -torch.inf)
        nothing = (_PACE * self.nothing)[:, None, None].expand(*logit.shape[:3], 1)
        weight: Tensor = torch.cat([logit, nothing], -1).softmax(-1)[..., :-1]
        return weight


@dataclass(frozen=True)
class Latest:
    """The latest searches that each point sees, the newest first."""

    token: Tensor
    """`[points, slots, dim]`, anything where there is none."""
    position: Tensor
    """`[points, slots]` as in `Searches`."""
    age: Tensor
    """`[points, slots]` when the point is answered from."""
    real: Tensor
    """`[points, slots]` bool: whether there is one."""


def latest(searches: Searches, batch: Batch, most: int) -> Latest:
    """At most `most` searches of each point of the batch that `searches` are of."""
    row, position = batch.point_row[:, None], batch.point_position[:, None]
    slot = torch.arange(searches.position.shape[1], device=row.device)
    seen = torch.where(searches.position[batch.point_row] <= position, slot, -1)
    newest = seen.topk(min(most, slot.shape[0])).values
    at = newest.clamp(min=0)
    return Latest(searches.token[row, at], searches.position[row, at], searches.age[row, position, at], newest >= 0)


class SearchReader(Model):
    """Put before the class of a model: what reads a search.

    A search is its text and the way it was entered, normalised: a query weighs as much as another, whatever its length.
    """

    uses_searches = True
    uses_times = True
    query_text: TextEncoder | None
    query_type: nn.Embedding
    query_norm: nn.LayerNorm

    def grow_reader(self, dim: int, buckets: int, gram_dropout: float, content: bool, share_text: bool) -> None:
        """Make the parts that read a search; queries have an encoder to themselves unless they share that of titles."""
        if not 0 <= gram_dropout < 1:
            raise InputError(f"--model.network.init_args.gram_dropout {gram_dropout}: must be at least 0 and below 1.")
        self.hyperparameters |= {"buckets": buckets, "gram_dropout": gram_dropout}
        if content:
            self.hyperparameters["share_text"] = share_text
        self.gram_dropout = gram_dropout
        self.query_text = None if content and share_text else TextEncoder(dim, buckets)
        self.query_type = nn.Embedding(QUERY_TYPES, dim)
        nn.init.normal_(self.query_type.weight, std=0.02)
        self.query_norm = nn.LayerNorm(dim)

    @property
    def text(self) -> TextEncoder:
        """The encoder of queries: their own, or that of titles."""
        if self.query_text is not None:
            return self.query_text
        assert self.described is not None
        return self.described.text

    def tokens(self, batch: Batch) -> Tensor:
        """The batch's searches as vectors `[searches, dim]`.

        In training n-grams are dropped at random, or the few clicks that follow each query would be learnt by heart.
        """
        gram = batch.search_gram
        if self.training and self.gram_dropout:
            gram = gram * (torch.rand(gram.shape, device=gram.device) >= self.gram_dropout)
        token: Tensor = self.query_norm(self.text(gram) + self.query_type(batch.search_type))
        return token

    def searches(self, batch: Batch) -> Searches:
        """The batch's searches by row."""
        return lay_out(batch, self.tokens(batch))


class SearchBranch(SearchReader):
    """Put before the class of a model, its backbone: what reads searches. Its parameters are those named `query_…`."""

    @property
    def neutral(self) -> bool:
        """Whether the backbone can be frozen: the branch starts at zero and leaves alone who has not searched."""
        return True

    def backbone(self) -> list[nn.Parameter]:
        """The parameters of the model inside."""
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("query_")]

    def load_backbone(self, state: dict[str, Any]) -> None:
        """Take over the weights of a backbone of the same shape, or of a whole model like this one."""
        missing, unexpected = self.load_state_dict(state, strict=False)
        if unexpected or any(not name.startswith("query_") for name in missing):
            raise ValueError(f"not the weights of this backbone: missing {missing}, unexpected {unexpected}")
        if missing and self.described is not None and self.query_text is not None:
            self.query_text.load_state_dict(self.described.text.state_dict())  # begin in the language of titles

    def part_text(self) -> None:
        """Give queries a copy of the titles' encoder, which learns when the backbone is frozen."""
        if self.query_text is None:
            self.query_text = deepcopy(self.text)
            self.hyperparameters["share_text"] = False
