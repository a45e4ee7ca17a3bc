"""What the native causal models share: the table of items, what goes in, and what a score is made of."""

from abc import abstractmethod
from math import sqrt

from torch import Tensor, nn

from recsys.errors import InputError
from recsys.models.base import Model
from recsys.models.batch import Batch
from recsys.models.tied import look_up


class CausalModel(Model):
    """Reads a history from left to right; rows are padded on the right, so causality alone hides padding.

    Embeddings start as normal noise of standard deviation `dim ** -0.5` and come in multiplied by `sqrt(dim)` (Vaswani
    et al. 2017, section 3.4): an item has length 1 where it is scored, and unit variance where it enters.

    Args:
        n_items: Size of the item vocabulary, padding included.
        max_len: Longest history, in items.
        dim: Width of items and hidden states.
        heads: Attention heads per layer; their number divides `dim`.
        dropout: Dropout of what goes in.
        positions: Add a learned vector for each place in the window.
        tied: Score by the table that histories are read with; otherwise by one of its own.
        temperature: Score by the cosine divided by this (Zhai et al. use 0.05), not by the dot product.
    """

    def __init__(
        self,
        n_items: int,
        max_len: int,
        dim: int,
        heads: int,
        dropout: float,
        positions: bool,
        tied: bool,
        temperature: float | None,
    ) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise InputError(f"--model.network.init_args.heads {heads}: must divide dim, {dim}.")
        if temperature is not None and temperature <= 0:
            raise InputError(f"--model.network.init_args.temperature {temperature}: must be above 0.")
        self.n_items, self.scale, self.temperature = n_items, sqrt(dim), temperature
        self.item_embedding = nn.Embedding(n_items, dim, padding_idx=0)
        self.output_embedding = None if tied else nn.Embedding(n_items, dim, padding_idx=0)
        self.position_embedding = nn.Embedding(max_len, dim) if positions else None
        self.dropout = nn.Dropout(dropout)
        for table in (self.item_embedding, self.output_embedding, self.position_embedding):
            if table is not None:
                nn.init.normal_(table.weight, std=dim**-0.5)
                if table.padding_idx is not None:
                    nn.init.zeros_(table.weight[table.padding_idx].detach())

    @abstractmethod
    def hidden(self, x: Tensor, batch: Batch) -> Tensor:
        """Hidden states `[rows, length, dim]` of what goes in `[rows, length, dim]`; none depends on a later one."""

    def encode(self, batch: Batch) -> Tensor:
        """Hidden state at each point's position: `[points, dim]`."""
        return self.states(self.item_embedding(batch.item), batch)

    def training_points(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """As every model; a table that is tied has one gradient."""
        if self.output_embedding is not None:
            return super().training_points(batch)
        x, table = look_up(self.item_embedding.weight, batch.item)
        return self.states(x, batch)[batch.target_point], self._scored(table), batch.target_item

    def states(self, x: Tensor, batch: Batch) -> Tensor:
        """Hidden state at each point's position, `[points, dim]`, of item embeddings `[rows, length, dim]`."""
        if self.position_embedding is not None:
            x = x + self.position_embedding.weight[: x.shape[1]]
        vectors = self.hidden(self.dropout(self.scale * x), batch)[batch.point_row, batch.point_position]
        return vectors if self.temperature is None else nn.functional.normalize(vectors, dim=-1) / self.temperature

    def item_vectors(self, item_ids: Tensor | None = None) -> Tensor:
        """Rows of the output table, of length 1 where scores are cosines: `[items, dim]`."""
        output = self.output_embedding or self.item_embedding
        return self._scored(output.weight if item_ids is None else output(item_ids))

    def _scored(self, table: Tensor) -> Tensor:
        return table if self.temperature is None else nn.functional.normalize(table, dim=-1)
