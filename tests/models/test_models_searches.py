"""Searches laid out by row, and what their age makes of them."""

from dataclasses import replace

import pytest
import torch

from recsys.models.searches import AGES, Recency, lay_out

SEARCHES = [(0, 1, 1, "a"), (0, 2, 1, "b"), (2, 0, 1, "c")]
TOKEN = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


@pytest.fixture
def batch(batch_of):
    """Three clicks and two searches, a click, a click and a search."""
    made = batch_of([[3, 5, 7], [2], [9]], SEARCHES, times=[[0, 100, 200, 300], [0, 1], [10, 1034]])
    return replace(made, search_timestamp=torch.tensor([198, 172, 10]))


def test_tokens_and_places_by_row(batch):
    laid = lay_out(batch, TOKEN)
    assert laid.token.tolist() == [[[1, 2], [3, 4]], [[0, 0], [0, 0]], [[5, 6], [0, 0]]]
    assert laid.position.tolist() == [[1, 2], [3, 3], [0, 3]]
    assert laid.new[0].int().tolist() == [[0, 0], [1, 0], [0, 1]]
    assert laid.seen[0].int().tolist() == [[0, 0], [1, 0], [1, 1]]
    assert not laid.seen[1].any()


def test_an_age_is_counted_until_the_user_came_back_in_half_octaves(batch):
    laid = lay_out(batch, TOKEN)
    # 2 s and 102 s after the first search, 128 s after the second: 2 * log2 of it, rounded down
    assert laid.age[0, 1, 0] == 2
    assert laid.age[0, 2].tolist() == [13, 14]
    assert laid.age[2, 0, 0] == 20  # 1,024 s
    later = lay_out(replace(batch, search_timestamp=torch.tensor([-(10**9)] * 3)), TOKEN)
    assert later.age.max() == AGES - 1


def test_nobody_knows_times(batch):
    assert not lay_out(replace(batch, search_timestamp=None), TOKEN).age.any()
    assert not lay_out(replace(batch, request_timestamp=None), TOKEN).age.any()


@torch.no_grad()
def test_weights_are_a_softmax_over_ages_and_nothing(batch):
    recency, laid = Recency(heads=2), lay_out(batch, TOKEN)
    recency.age.copy_(torch.randn(recency.age.shape))
    recency.nothing.copy_(torch.tensor([0.3, -0.2]))
    weight = recency(laid, laid.seen)
    for head in range(2):
        logit = 4 * torch.stack([recency.age[13, head], recency.age[14, head], recency.nothing[head]])
        torch.testing.assert_close(weight[0, head, 2], logit.softmax(0)[:2])
    assert not weight[1].any()
    assert not weight[0, :, 0].any()  # nothing is seen there yet


@torch.no_grad()
def test_what_fades_counts_less(batch):
    laid = lay_out(batch, TOKEN)
    weight = Recency()(laid, laid.seen)[:, 0]
    assert weight[0, 1, 0] > weight[0, 2, 0] > weight[0, 2, 1] > 0
    assert (weight.sum(-1) < 1).all()
