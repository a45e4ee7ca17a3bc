"""RecBole's Transformer encoder, its formulas and weights unchanged, without the work that nobody sees."""

from typing import Any

import torch
from torch import Tensor, nn

Points = tuple[Tensor, Tensor]
"""Row and position of tokens, `[points]` each."""


def fuse(network: nn.Module) -> None:
    """Have every GELU of RecBole's computed in one pass over memory, where RecBole takes five, in training too."""
    feed_forwards: Any = (part for part in network.modules() if hasattr(part, "intermediate_act_fn"))
    for part in feed_forwards:
        if part.intermediate_act_fn == part.gelu:
            part.intermediate_act_fn = nn.functional.gelu


def encoded(encoder: nn.Module, x: Tensor, mask: Tensor, at: Points | None = None) -> Tensor:
    """States of tokens `[rows, tokens, dim]`; where some points are all that is asked for, others may be 0.

    Of two layers, nearly half of the work is the last one's for tokens whose states only a step of training reads:
    elsewhere it is left out. The way does not depend on the batch: whoever else is asked for moves no score.

    Args:
        encoder: RecBole's `TransformerEncoder`.
        x: Tokens `[rows, tokens, dim]`.
        mask: What is added to attention, `[rows or 1, 1, tokens or 1, tokens]`.
        at: The points that are asked for; all when None.
    """
    if at is None or encoder.training:
        states: Tensor = encoder(x, mask, output_all_encoded_layers=False)[-1]
        return states
    layers: Any = encoder.layer
    for layer in layers[:-1]:
        x = layer(x, mask)
    (row, position), attention = at, layers[-1].multi_head_attention
    asked, tokens = x[at], x[row]
    seen = mask.expand(x.shape[0], 1, x.shape[1], x.shape[1])[row, :, position]
    # A point has one query. Taken through the map of the keys it meets the tokens themselves, so that none of them is
    # projected; what a key's bias adds is the same for all of them, and a softmax does not see it.
    split = (attention.num_attention_heads, attention.attention_head_size)
    key, value = (part.weight.unflatten(0, split) for part in (attention.key, attention.value))
    query = attention.query(asked).unflatten(-1, split) / attention.sqrt_attention_head_size
    weight = (torch.einsum("phs,hsd->phd", query, key) @ tokens.transpose(1, 2) + seen).softmax(-1)
    context = torch.einsum("phd,hsd->phs", weight @ tokens, value).flatten(1) + attention.value.bias
    met = attention.LayerNorm(attention.dense(context) + asked)
    return torch.zeros_like(x).index_put(at, layers[-1].feed_forward(met))
