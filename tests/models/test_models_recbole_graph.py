"""Graphs of histories made at once are those that RecBole makes one by one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.models import RecBole
from recsys.models.recbole_graph import history_graph

LENGTH = 7
HISTORIES = st.lists(st.lists(st.integers(1, 5), max_size=LENGTH), min_size=1, max_size=6)


def padded(histories):
    return torch.tensor([[*items, *[0] * (LENGTH - len(items))] for items in histories])


def weights(edges):
    return {(i, j): edges[i, j].item() for i, j in edges.nonzero().tolist()}


@pytest.fixture(scope="module", params=["GCSAN", "SRGNN"])
def network(request):
    return RecBole(request.param, 9, LENGTH, settings={"step": 1}).inner


@given(HISTORIES)
def test_the_graph_is_recboles_to_the_last_bit(network, histories):
    item = padded(histories)
    expected = type(network)._get_slice(network, item)
    for made, own in zip(network._get_slice(item), expected, strict=True):
        assert made.dtype == own.dtype
        assert torch.equal(made, own)


def test_two_ways_out_of_an_item_count_half_each():
    """3, 1, 3, 2: nodes are padding, 1, 2 and 3; 3 leads to 1 and to 2, 1 to 3."""
    node, edges, node_item = history_graph(padded([[3, 1, 3, 2]]))
    assert node[0].tolist() == [3, 1, 3, 2, 0, 0, 0]
    assert node_item[0].tolist() == [0, 1, 2, 3, 0, 0, 0]
    into, out_of = edges[0].split(LENGTH, dim=1)
    assert weights(into) == {(1, 3): 1.0, (2, 3): 1.0, (3, 1): 1.0}
    assert weights(out_of) == {(1, 3): 1.0, (3, 1): 0.5, (3, 2): 0.5}


def test_a_graph_is_made_where_its_items_are():
    made = history_graph(torch.zeros(2, LENGTH, dtype=torch.long, device="meta"))
    assert {part.device.type for part in made} == {"meta"}
