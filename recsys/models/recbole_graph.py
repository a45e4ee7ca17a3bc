"""RecBole's graph of a history (SR-GNN, GCSAN), the same numbers, made for a whole batch where its items lie.

RecBole makes it one row and one pair of items after the other, in Python, and waits for the GPU to hand the items over.
"""

from typing import Any

import torch
from torch import Tensor, nn


def vectorise_graph(network: nn.Module) -> None:
    """Have the graphs of RecBole's SRGNN or GCSAN made at once; any other network is left as it is."""
    made: Any = {"SRGNN": _graph_and_mask, "GCSAN": history_graph}.get(type(network).__name__)
    if made:
        network._get_slice = made


def history_graph(item: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Histories as graphs of what was followed by what (Wu et al., AAAI 2019, section 3.2).

    Args:
        item: Items `[rows, length]`, padded with 0 on the right.

    Returns:
        The node of each item `[rows, length]`; the edges into each node and out of it, divided by how many these are,
        `[rows, length, 2 * length]`; the item of each node `[rows, length]`, ascending, 0 behind the last.
    """
    ordered, order = item.sort(dim=1)
    rank = nn.functional.pad(ordered.diff(dim=1).ne(0).long().cumsum(1), (1, 0))
    node = torch.empty_like(item).scatter(1, order, rank)
    node_item = torch.zeros_like(item).scatter(1, rank, ordered)
    edges = torch.zeros(*item.shape, item.shape[1], device=item.device)
    pair = node[:, :-1] * item.shape[1] + node[:, 1:]
    edges = edges.flatten(1).scatter(1, pair, (item[:, 1:] > 0).to(edges)).view_as(edges)  # none leads to padding
    reverse = edges.transpose(1, 2)
    into = reverse / edges.sum(1)[:, :, None].clamp(min=1.0)
    out_of = edges / edges.sum(2)[:, :, None].clamp(min=1.0)
    return node, torch.cat([into, out_of], 2), node_item


def _graph_and_mask(item: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return *history_graph(item), item > 0
