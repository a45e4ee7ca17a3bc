"""Items by what they say of themselves: an item's vector is that of its id plus that of its title and categories.

An item that nobody clicked in training has no vector of its own, and is judged by its content alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys.errors import InputError
from recsys.models.text import TextEncoder
from recsys.models.tied import look_up

CATEGORIES = 8192
"""Rows of the table that categories are hashed into; row 0 is none."""
_CHUNK = 16_384  # items whose content is computed at once: 3 MiB of n-grams


@dataclass(frozen=True)
class Content:
    """What is known of each item, row 0 being padding: no vocabulary is needed to read it."""

    gram: np.ndarray
    """`[items, grams]` the title's `gram_matrix`, 0 is padding."""
    category: np.ndarray
    """`[items, categories]` a hash of each field and value, 0 is padding."""
    vector: np.ndarray
    """`[items, width]` float32 of a vector that came with the data; 0 wide where none did."""


@dataclass(frozen=True)
class LazyTable:
    """A table of item vectors for a loss, which asks for the rows that it needs: few, where it samples."""

    vectors: Callable[[Tensor | None], Tensor]
    n_items: int

    def __len__(self) -> int:
        """Number of items, padding included."""
        return self.n_items

    def __call__(self, item_ids: Tensor | None = None) -> Tensor:
        """Rows `[*ids, dim]`, or all of them."""
        return self.vectors(item_ids)


class ItemEmbedding(nn.Embedding):
    """Id vector + text(title) + sum of category vectors (+ a linear map of a normalised frozen vector).

    Stands in the place of an embedding table, with its weights and its names. What is known of the items is part of
    the state, hashed, so that a checkpoint needs no data set; until it is told, each item is its id alone.

    Args:
        ids: The table that it takes the place of.
        buckets: Rows of the table that the n-grams of titles are hashed into.
        vector_width: Width of the frozen vectors, 0 for none.
    """

    has_id: Tensor
    title: Tensor
    category: Tensor
    vector: Tensor

    def __init__(self, ids: nn.Embedding, buckets: int, vector_width: int = 0) -> None:
        rows, dim = ids.weight.shape
        super().__init__(rows, dim, padding_idx=ids.padding_idx, _weight=ids.weight.detach())
        self.text = TextEncoder(dim, buckets)
        with torch.no_grad():
            # A title starts as the mean of its n-grams, and about as long as an id: both learn at once.
            nn.init.eye_(self.text.linear.weight)
            self.text.gram_embedding.weight.mul_(5)
        self.categories = nn.Embedding(CATEGORIES, dim, padding_idx=0)
        nn.init.normal_(self.categories.weight, std=0.02)
        nn.init.zeros_(self.categories.weight[0].detach())
        self.vector_map = nn.Linear(vector_width, dim, bias=False) if vector_width else None
        self.register_buffer("has_id", torch.ones(rows, dtype=torch.bool))
        self.register_buffer("title", torch.zeros(rows, 1, dtype=torch.int32))
        self.register_buffer("category", torch.zeros(rows, 1, dtype=torch.int32))
        self.register_buffer("vector", torch.zeros(rows, vector_width))
        self._known: tuple[Any, Tensor] | None = None

    def describe(self, content: Content, clicked: np.ndarray) -> None:
        """Learn what is known of the items, and which of them `[items]` are clicked often enough for an id vector.

        Raises:
            InputError: frozen vectors of another width than the model was made for.
        """
        if content.vector.shape[1] != self.vector.shape[1]:
            raise InputError(
                f"Items have frozen vectors of width {content.vector.shape[1]}, but the model was made for "
                f"vector_width {self.vector.shape[1]}."
            )
        rows, items = len(self.weight), len(content.gram)
        parts = {
            "has_id": torch.from_numpy(clicked),
            "title": _buckets(content.gram, self.text.buckets),
            "category": _buckets(content.category, CATEGORIES),
            "vector": torch.from_numpy(content.vector),
        }
        for name, part in parts.items():
            whole = torch.zeros(rows, *part.shape[1:], dtype=part.dtype)
            whole[:items] = part
            setattr(self, name, whole.to(self.weight.device))
        self.has_id[0] = True
        self.has_id[items:] = True  # what is no item, such as a mask, has no content

    def forward(self, input: Tensor) -> Tensor:
        """Vectors of item numbers of any shape."""
        return self.vectors(input)

    def vectors(self, ids: Tensor | None = None, own: Tensor | None = None) -> Tensor:
        """Vectors of item numbers of any shape, each number's computed once, or of all rows `[rows, dim]`.

        As long as nothing of them changes they are kept. `own` are the id vectors, where they are not just the weights.
        """
        if not self._learns():
            return self._kept() if ids is None else F.embedding(ids, self._kept())
        if ids is None:
            return self._rows(slice(None), own)
        distinct, place = ids.unique(return_inverse=True)
        return F.embedding(place, self._rows(distinct, own))

    def tied(self, item: Tensor) -> tuple[Tensor, LazyTable]:
        """Vectors of a history's items, and the table to score with in the same step: `look_up`, with content."""
        if not self._learns():
            return self(item), LazyTable(self.vectors, len(self.weight))
        distinct, place = item.unique(return_inverse=True)
        own, weight = look_up(self.weight, distinct)
        rows = own * self.has_id[distinct, None] + self.content_rows(distinct)
        return F.embedding(place, rows), LazyTable(partial(self.vectors, own=weight), len(weight))

    def content_rows(self, ids: Tensor | slice) -> Tensor:
        """What titles, categories and frozen vectors add, `[items, dim]`."""
        rows = self.text.bags(self.title[ids])
        rows = rows + F.embedding_bag(self.category[ids], self.categories.weight, mode="sum", padding_idx=0)
        if self.vector_map is not None:
            rows = rows + self.vector_map(F.layer_norm(self.vector[ids], self.vector.shape[1:]))
        return rows

    def _rows(self, ids: Tensor | slice, own: Tensor | None = None) -> Tensor:
        """Vectors `[items, dim]`, computed anew; an item without an id vector has none in them."""
        own = self.weight if own is None else own
        rows = own[ids] if isinstance(ids, slice) else F.embedding(ids, own, self.padding_idx)
        return rows * self.has_id[ids, None] + self.content_rows(ids)

    def _kept(self) -> Tensor:
        """Vectors of all rows `[rows, dim]`, computed in chunks when a weight has changed."""
        version = [(p.data_ptr(), None if p.is_inference() else p._version) for p in self.state_dict().values()]
        if self._known is None or self._known[0] != version:
            self._known = None
            with torch.no_grad():
                table = torch.empty_like(self.weight)
                for start in range(0, len(table), _CHUNK):
                    part = slice(start, start + _CHUNK)
                    table[part] = self._rows(part)
            self._known = version, table
        return self._known[1]

    def train(self, mode: bool = True) -> "ItemEmbedding":
        """As every module; what was kept is dropped."""
        self._known = None
        return super().train(mode)

    def _learns(self) -> bool:
        return torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.parameters())

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """What a checkpoint knows of its items comes in the shape that it has there."""
        for name in ("title", "category"):
            known = state_dict.get(prefix + name)
            if known is not None and len(known) == len(self.weight):
                setattr(self, name, torch.zeros_like(known, device=self.weight.device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        for name, rows in (("title", self.text.buckets), ("category", CATEGORIES)):
            numbers = getattr(self, name)
            if numbers.numel() and not 0 <= int(numbers.min()) <= int(numbers.max()) < rows:
                args[-1].append(f"{prefix}{name} names rows that its table of {rows} has not")


def table_of(embedding: nn.Embedding) -> Tensor:
    """All rows of an embedding, with or without content."""
    return embedding.vectors() if isinstance(embedding, ItemEmbedding) else embedding.weight


def tied(embedding: nn.Embedding, item: Tensor) -> tuple[Tensor, Tensor | LazyTable]:
    """`look_up` in an embedding with or without content."""
    return embedding.tied(item) if isinstance(embedding, ItemEmbedding) else look_up(embedding.weight, item)


def _buckets(hashed: np.ndarray, buckets: int) -> Tensor:
    """Rows `[items, at least 1]` int32 of a table for 32-bit hashes: `TextEncoder.buckets_of`, in less memory."""
    real = (hashed > 0).astype(np.uint32)
    rows = ((hashed - real) % np.uint32(buckets - 1) + real).astype(np.int32)
    return torch.from_numpy(rows if rows.shape[1] else np.zeros((len(rows), 1), np.int32))
