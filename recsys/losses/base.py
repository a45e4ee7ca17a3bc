"""The contract of every loss."""

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ItemTable(Protocol):
    """A table `[items, dim]` whose rows are made when they are asked for."""

    def __len__(self) -> int:
        """Number of items, padding included."""

    def __call__(self, item_ids: Tensor | None = None) -> Tensor:
        """The rows of items of any shape, or all of them."""


Table = Tensor | ItemTable


class Loss(nn.Module, ABC):
    """A mean over targets, of the vectors that should score them and the table of all item vectors."""

    sparse: bool = False
    """Whether the table's gradient is a sparse tensor of the rows looked up; without effect where all rows are."""

    @abstractmethod
    def forward(self, vectors: Tensor, table: Table, target: Tensor) -> Tensor:
        """Scalar loss of vectors `[targets, dim]`, table `[items, dim]` (row 0 is padding) and items `[targets]`.

        Padding is never a negative, and without any target the loss is 0. Under autocast, products are made of
        autocast's type, as its own would be; sums are at least float32. Of an `ItemTable`, a loss that samples asks for
        no other rows than it needs.
        """

    def prepare(self, popularity: Tensor) -> None:
        """Learn the training clicks per item `[items]`, 0 for padding; called once, before the first step."""

    def reads_all(self, n_items: int, device: str) -> bool:
        """Whether every row of a table of `n_items` has a gradient on that type of device."""
        return False

    def describe(self, n_items: int, device: str) -> str:
        """What is computed over a table of `n_items` rows on that type of device, in a few words."""
        return type(self).__name__


def look_up(table: Table, item_ids: Tensor, sparse: bool = False) -> Tensor:
    """Rows of a table, `[*ids, dim]`."""
    return F.embedding(item_ids, table, sparse=sparse) if isinstance(table, Tensor) else table(item_ids)


def whole(table: Table) -> Tensor:
    """All rows of a table, `[items, dim]`."""
    return table if isinstance(table, Tensor) else table()


def product_type(vectors: Tensor, table: Tensor) -> torch.dtype:
    """The type of the factors of a score: autocast's where it is on, else the wider of the two."""
    device = vectors.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return torch.promote_types(vectors.dtype, table.dtype)


def sum_type(dtype: torch.dtype) -> torch.dtype:
    """The type of sums over products of that type."""
    return torch.promote_types(dtype, torch.float32)
