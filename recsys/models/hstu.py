"""HSTU (Zhai et al., ICML 2024, arXiv 2402.17152): attention without softmax, biased by distance and time, gated."""

from torch import Tensor, nn

from recsys.models.batch import Batch
from recsys.models.causal import CausalModel
from recsys.models.relative import RelativeBias, causal_mask, time_buckets


class HSTU(CausalModel):
    """Stack of Hierarchical Sequential Transduction Units over the history.

    Args:
        n_items: Size of the item vocabulary, padding included.
        max_len: Longest history, in items.
        dim: Width of items and hidden states; each head has `dim / heads` of it for queries, keys, values and gates.
        layers: Number of units.
        heads: Attention heads per unit.
        dropout: Dropout of what goes in and of each unit's output.
        positions: Add a learned vector for each place in the window, as the authors' code does.
        tied: Score by the table that histories are read with.
        temperature: Score by the cosine divided by this, not by the dot product; the authors use 0.05.
    """

    uses_times = True

    def __init__(
        self,
        n_items: int,
        max_len: int = 50,
        dim: int = 64,
        layers: int = 2,
        heads: int = 2,
        dropout: float = 0.2,
        positions: bool = True,
        tied: bool = True,
        temperature: float | None = 0.05,
    ) -> None:
        super().__init__(n_items, max_len, dim, heads, dropout, positions, tied, temperature)
        self.units = nn.ModuleList(Unit(max_len, dim, heads, dropout) for _ in range(layers))
        self.hyperparameters = {
            "n_items": n_items,
            "max_len": max_len,
            "dim": dim,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
            "positions": positions,
            "tied": tied,
            "temperature": temperature,
        }

    def hidden(self, x: Tensor, batch: Batch) -> Tensor:
        """Hidden states `[rows, length, dim]`."""
        bucket, visible = time_buckets(batch), causal_mask(x.shape[1], x.device)
        for unit in self.units:
            x = unit(x, bucket, visible)
        return x


class Unit(nn.Module):
    """One unit, equations 1 to 3, added to what it is given (its norms have no weights, as in the authors' code).

    The first map starts as normal noise of standard deviation `dim ** -0.5`, so that it keeps variance; the second as
    Xavier has it.
    """

    def __init__(self, max_len: int, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.max_len = heads, max_len
        self.norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.f1 = nn.Linear(dim, 4 * dim, bias=False)
        self.bias = RelativeBias(max_len, heads)
        self.dropout = nn.Dropout(dropout)
        self.f2 = nn.Linear(dim, dim)
        nn.init.normal_(self.f1.weight, std=dim**-0.5)
        nn.init.xavier_uniform_(self.f2.weight)
        nn.init.zeros_(self.f2.bias)

    def forward(self, x: Tensor, bucket: Tensor | None, visible: Tensor) -> Tensor:
        """`[rows, length, dim]` → the same."""
        u, v, q, k = nn.functional.silu(self.f1(self.norm(x))).chunk(4, dim=-1)  # (1)
        v, q, k = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (v, q, k))
        score = q @ k.transpose(-2, -1) + self.bias(x.shape[1], bucket)
        # by the longest length, not the batch's: what a history is padded with may not change it
        weight = nn.functional.silu(score).masked_fill(~visible, 0.0) / self.max_len
        attended = (weight @ v).transpose(1, 2).flatten(2)  # (2)
        y: Tensor = self.f2(self.dropout(self.norm(attended) * u))  # (3)
        return x + y
