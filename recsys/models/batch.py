"""What a model is given: histories, the points in them to predict from, and the searches legal at each position."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tensors of one step, all int64.

    A *point* is one request to answer: it sees its row's items up to and including `point_position`. A point without
    any history lies at position 0 of a row of padding. Searches have already passed the visibility rule: a search
    stands at the first position from which every point may see it, so causal attention carries it forward legally.
    """

    item: Tensor
    """`[rows, length]` history, oldest first, right-padded with 0."""
    timestamp: Tensor | None = None
    """`[rows, length]` when each item was clicked, in seconds; None where nobody knows."""
    request_timestamp: Tensor | None = None
    """`[rows, length]` when the user came back after each item, in seconds: the start of the earliest request that sees
    no further, and where there is none the time of the next item. It is known when that position is answered from."""
    next_item: Tensor
    """`[rows]` the item that follows a training row, 0 where there is none (never shown when predicting)."""
    point_row: Tensor
    """`[points]`"""
    point_position: Tensor
    """`[points]` position of the last item that the point sees."""
    request: Tensor
    """`[points]` index of the request among the split's requests."""
    target_point: Tensor
    """`[targets]` the point that each target belongs to."""
    target_item: Tensor
    """`[targets]`"""
    search_row: Tensor
    """`[searches]` of each row in order of time."""
    search_position: Tensor
    """`[searches]`"""
    search_timestamp: Tensor | None = None
    """`[searches]` when each search was made, in seconds; in a row without items, counted from the request's start."""
    search_type: Tensor
    """`[searches]` Qilin's query_from_type, 1 to 8; 0 unknown."""
    search_gram: Tensor
    """`[searches, grams]` hashes of the query's character n-grams plus 1; 0 is padding."""
    search_click: Tensor | None = None
    """`[clicks]` in training, the search of the batch that each click on a result was made in."""
    search_click_item: Tensor | None = None
    """`[clicks]` the item. It was clicked after its search, maybe after the next request too: no point may see it."""
    user: Tensor | None = None
    """`[points]` number of each point's user in the data set plus 1; None where no data set is at hand."""

    def to(self, *args: Any, **kwargs: Any) -> "Batch":
        """Move every tensor, as `Tensor.to` does."""
        tensors: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: x.to(*args, **kwargs) for name, x in tensors.items() if x is not None})

    def __len__(self) -> int:
        """Number of points."""
        return len(self.point_row)


def point_counts(batch: Batch) -> Tensor:
    """`[points]` number of items that each point sees."""
    return torch.where(batch.item[batch.point_row, 0] == 0, 0, batch.point_position + 1)


def point_rows(batch: Batch) -> tuple[Tensor, Tensor]:
    """One row per point, cut behind what the point sees: items `[points, length]` and their number `[points]`."""
    item = batch.item[batch.point_row]
    seen = torch.arange(item.shape[1], device=item.device) <= batch.point_position[:, None]
    return item * seen, point_counts(batch)
