"""RecBole's causal networks answer at many points of a window in one pass, by their own formulas and weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def answered(network: Any, row: Tensor, position: Tensor) -> Iterator[None]:
    """Within, a network of `CAUSAL` answers these points of the rows that it is given, in place of each row's last."""

    def gathered(states: Tensor, _: Tensor) -> Tensor:
        return states[row, position]

    def core(item: Tensor) -> Tensor:
        return _core(network, item, row, position)

    def narm(item: Tensor, _: Tensor) -> Tensor:
        return _narm(network, item, row, position)

    own = {"CORE": core, "NARM": narm}.get(type(network).__name__)
    name = "forward" if own else "gather_indexes"
    setattr(network, name, own or gathered)
    try:
        yield
    finally:
        delattr(network, name)


def _core(network: Any, item: Tensor, row: Tensor, position: Tensor) -> Tensor:
    """CORE adds the items up by weights and divides by the length of that: what the weights add up to is no matter."""
    x = network.sess_dropout(network.item_embedding(item))
    weighted = network.net(item, x) * x
    return nn.functional.normalize(weighted.cumsum(1)[row, position], dim=-1)


def _narm(network: Any, item: Tensor, row: Tensor, position: Tensor) -> Tensor:
    """NARM (Li et al., CIKM 2017, equations 5 to 9): the state there, and by it a weighted sum of those until there."""
    states, _ = network.gru(network.emb_dropout(network.item_embedding(item)))
    last = states[row, position]
    seen = torch.arange(item.shape[1], device=item.device) <= position[:, None]
    keys = network.a_1(states).index_select(0, row)
    weight = network.v_t(torch.sigmoid(keys + network.a_2(last)[:, None])).squeeze(2) * seen
    weights = weight.new_zeros(*item.shape, item.shape[1]).index_put((row, position), weight)
    local = (weights @ states)[row, position]
    answer: Tensor = network.b(network.ct_dropout(torch.cat([local, last], 1)))
    return answer
