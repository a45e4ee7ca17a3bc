"""What every way of ranking asks of its arguments."""

import numpy as np
import torch
from torch import Tensor

from recsys.errors import InputError

NOT_A_NUMBER = "Some scores are not a number: the vectors or the table hold nan or infinite values."


def integers(values: Tensor | np.ndarray) -> Tensor:
    """Return `values` as int64 on the CPU."""
    array = torch.tensor(values) if isinstance(values, np.ndarray) else values
    if array.numel() and (array.is_floating_point() or array.dtype == torch.bool):
        raise InputError(f"Ids and offsets must be integers, not {array.dtype}.")
    return array.detach().cpu().to(torch.int64)


def segments(offsets: Tensor | np.ndarray, requests: int, ids: int) -> Tensor:
    """Return `offsets [requests + 1]` as int64 on the CPU, if they cut `ids` ids into `requests` lists."""
    offsets = integers(offsets)
    if offsets.shape != (requests + 1,):
        raise InputError(
            f"offsets must hold {requests + 1} numbers for {requests} requests, not {list(offsets.shape)}."
        )
    if int(offsets[0]) != 0 or int(offsets[-1]) != ids or bool((offsets.diff() < 0).any()):
        raise InputError(f"offsets must ascend from 0 to {ids}, the number of ids.")
    return offsets


def excluded(
    exclude: tuple[Tensor, Tensor] | tuple[np.ndarray, np.ndarray] | None, requests: int
) -> tuple[Tensor, Tensor]:
    """Offsets and ids of what is never returned, checked; empty lists for None."""
    if exclude is None:
        return torch.zeros(requests + 1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    seen = integers(exclude[1])
    return segments(exclude[0], requests, len(seen)), seen


def scored(vectors: Tensor, table: Tensor | None) -> int:
    """Number of items that are scored, padding included, if the shapes agree."""
    if table is None:
        if vectors.ndim != 2:
            raise InputError(f"scores must be [requests, items], not {list(vectors.shape)}.")
        return vectors.shape[1]
    if vectors.ndim != 2 or table.ndim != 2 or vectors.shape[1] != table.shape[1]:
        raise InputError(
            "vectors [requests, dim] and table [items, dim] must agree in dim, "
            f"not {list(vectors.shape)} and {list(table.shape)}."
        )
    return len(table)


def at_least_one(**numbers: int) -> None:
    """Refuse what is below 1."""
    for name, number in numbers.items():
        if number < 1:
            raise InputError(f"{name} must be at least 1, not {number}.")
