"""eSASRec (arXiv 2508.06450, RecSys 2025): SASRec's objective, LiGR's gated layers, and a softmax over sampled items.

The objective is every model's default here, and the loss is chosen beside the model; what is left is the layers.
"""

from recsys.models.causal_transformer import CausalTransformer


class eSASRec(CausalTransformer):
    """The CausalTransformer with gated residuals.

    Args:
        n_items: Size of the item vocabulary, padding included.
        max_len: Longest history, in items.
        dim: Width of items and hidden states.
        layers: Number of layers.
        heads: Attention heads per layer.
        inner_dim: Width of the feed-forward layers.
        dropout: Dropout of what goes in, of attention, and of what each branch adds.
        time_bias: Add to attention what distances and times say, as HSTU does.
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
        time_bias: bool = False,
    ) -> None:
        super().__init__(
            n_items, max_len, dim, layers, heads, inner_dim, dropout, residual="gated", time_bias=time_bias
        )
        self.hyperparameters = {
            "n_items": n_items,
            "max_len": max_len,
            "dim": dim,
            "layers": layers,
            "heads": heads,
            "inner_dim": inner_dim,
            "dropout": dropout,
            "time_bias": time_bias,
        }
