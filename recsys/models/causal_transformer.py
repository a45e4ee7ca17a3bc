"""A causal Transformer with the parts that the strongest published recipes are made of, each an option."""

from typing import Literal

import torch
from torch import Tensor, nn

from recsys.models.batch import Batch
from recsys.models.causal import CausalModel
from recsys.models.relative import RelativeBias, causal_mask, time_buckets

Residual = Literal["post", "pre", "gated"]


class CausalTransformer(CausalModel):
    """SASRec's idea, not its weights: `SASRec` itself is RecBole's network.

    Args:
        n_items: Size of the item vocabulary, padding included.
        max_len: Longest history, in items.
        dim: Width of items and hidden states.
        layers: Number of layers.
        heads: Attention heads per layer.
        inner_dim: Width of the feed-forward layers.
        dropout: Dropout of what goes in, of attention, and of what each branch adds.
        residual: How a branch f meets its input. "post": norm(x + f(x)), as SASRec. "pre": x + f(norm(x)). "gated":
            x + sigmoid(W x) * f(norm(x)), the block of LiGR (arXiv 2502.03417).
        positions: Add a learned vector for each place in the window.
        time_bias: Add to attention what distances and times say, as HSTU does.
        tied: Score by the table that histories are read with.
        temperature: Score by the cosine divided by this, not by the dot product.
    """

    def __init__(
        self,
        n_items: int,
        max_len: int = 50,
        dim: int = 64,
        layers: int = 2,
        heads: int = 2,
        inner_dim: int = 256,
        dropout: float = 0.2,
        residual: Residual = "pre",
        positions: bool = True,
        time_bias: bool = False,
        tied: bool = True,
        temperature: float | None = None,
    ) -> None:
        super().__init__(n_items, max_len, dim, heads, dropout, positions, tied, temperature)
        self.layers = nn.ModuleList()
        for _ in range(layers):
            attention = Attention(dim, heads, dropout, RelativeBias(max_len, heads) if time_bias else None)
            self.layers.append(Branch(attention, dim, dropout, residual))
            self.layers.append(Branch(FeedForward(dim, inner_dim), dim, dropout, residual))
        self.uses_times = time_bias
        self.last_norm = nn.Identity() if residual == "post" else nn.LayerNorm(dim)
        self.hyperparameters = {
            "n_items": n_items,
            "max_len": max_len,
            "dim": dim,
            "layers": layers,
            "heads": heads,
            "inner_dim": inner_dim,
            "dropout": dropout,
            "residual": residual,
            "positions": positions,
            "time_bias": time_bias,
            "tied": tied,
            "temperature": temperature,
        }

    def hidden(self, x: Tensor, batch: Batch) -> Tensor:
        """Hidden states `[rows, length, dim]`."""
        bucket = time_buckets(batch) if self.uses_times else None
        for layer in self.layers:
            x = layer(x, bucket)
        return self.last_norm(x)


class Branch(nn.Module):
    """What a sublayer adds to its input, in one of three ways. Gates start half open: all maps are Xavier, biases 0."""

    def __init__(self, sublayer: nn.Module, dim: int, dropout: float, residual: Residual) -> None:
        super().__init__()
        self.sublayer, self.residual = sublayer, residual
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)
        self.gate = nn.Linear(dim, dim) if residual == "gated" else None
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor, bucket: Tensor | None) -> Tensor:
        """`[rows, length, dim]` → the same."""
        added = self.dropout(self.sublayer(x if self.residual == "post" else self.norm(x), bucket))
        if self.gate is not None:
            added = self.gate(x).sigmoid() * added
        return self.norm(x + added) if self.residual == "post" else x + added


class Attention(nn.Module):
    """Causal multi-head attention, biased where a bias is given."""

    def __init__(self, dim: int, heads: int, dropout: float, bias: RelativeBias | None) -> None:
        super().__init__()
        self.heads, self.dropout, self.bias = heads, dropout, bias
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor, bucket: Tensor | None) -> Tensor:
        """`[rows, length, dim]` → the same."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        mask = None
        if self.bias is not None:
            length = x.shape[1]
            mask = self.bias(length, bucket).masked_fill(~causal_mask(length, x.device), -torch.inf).to(q.dtype)
        dropout = self.dropout if self.training else 0.0
        attended = nn.functional.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=mask is None)
        return self.out(attended.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """SwiGLU (Shazeer, arXiv 2002.05202): (silu(x W) * x V) W2, without biases."""

    def __init__(self, dim: int, inner_dim: int) -> None:
        super().__init__()
        self.inward, self.outward = nn.Linear(dim, 2 * inner_dim, bias=False), nn.Linear(inner_dim, dim, bias=False)

    def forward(self, x: Tensor, bucket: Tensor | None) -> Tensor:
        """`[rows, length, dim]` → the same."""
        gate, value = self.inward(x).chunk(2, dim=-1)
        return self.outward(nn.functional.silu(gate) * value)
