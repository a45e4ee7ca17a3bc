"""A short way from searches to scores: neutral until it has learnt, legal, and taught by the clicks on results."""

from dataclasses import replace

import pytest
import torch

from recsys.errors import InputError
from recsys.losses import Softmax
from recsys.models import SASRec, SearchSASRec
from recsys.models.search_agreement import Direct, query_agreement
from recsys.models.searches import lay_out

SHAPE = {"n_items": 20, "max_len": 8, "dim": 16, "layers": 1, "heads": 2, "inner_dim": 24}
ROWS = [[3, 5, 7], [2], [9, 9, 1, 4]]
SEARCHES = [(0, 1, 1, "red shoes"), (2, 3, 2, "blue hat")]


def searching(**settings):
    return SearchSASRec(**SHAPE, buckets=257, **{"agreement": 1.0, **settings})


def test_without_the_option_nothing_is_there():
    plain = SearchSASRec(**SHAPE, buckets=257)
    assert plain.query_direct is None
    assert "agreement" not in plain.hyperparameters
    extra = searching().state_dict().keys() - plain.state_dict().keys()
    assert extra == {"query_direct.scale", "query_direct.recency.age", "query_direct.recency.nothing"}
    with pytest.raises(InputError, match=r"agreement -1: must be at least 0"):
        searching(agreement=-1)


@pytest.mark.parametrize("fusion", ["pending", "cross"])
def test_it_starts_as_sasrec_and_stays_so_without_a_search_to_the_bit(fusion, batch_of, trained):
    plain, fresh = trained(SASRec(**SHAPE)), searching(fusion=fusion).eval()
    fresh.load_backbone(plain.state_dict())
    batch = batch_of(ROWS, SEARCHES)
    assert torch.equal(fresh.encode(batch), plain.encode(batch))
    grown = trained(searching(fusion=fusion), seed=1)
    grown.load_backbone(plain.state_dict())
    assert torch.equal(grown.encode(batch_of(ROWS)), plain.encode(batch_of(ROWS)))
    assert torch.equal(grown.encode(batch)[1], plain.encode(batch)[1])


@torch.no_grad()
def test_by_hand_the_state_gains_the_query(batch_of, trained):
    """From the first position that sees it on, as far as its age lets it, in points before it nothing."""
    network = trained(searching())
    network.query_fusion.scale.zero_()
    points = [(0, 0), (0, 1), (0, 2)]
    batch = batch_of([[3, 5, 7]], [(0, 1, 4, "red")], points, times=[[0, 9, 20, 90]])
    token, direct = network.searches(batch).token[0, 0], network.query_direct
    weight = [
        torch.stack([4 * direct.recency.age[age, 0], 4 * direct.recency.nothing[0]]).softmax(0)[0]
        for age in (6, 12)  # half octaves of the 11 and 81 seconds to the next returns
    ]
    gained = network.encode(batch) - super(SearchSASRec, network).states(network.item_vectors(batch.item), batch)
    expected = torch.stack([torch.zeros(16), *(w * direct.scale * token for w in weight)])
    torch.testing.assert_close(gained, expected, rtol=0, atol=1e-5)


def test_what_a_query_says_is_not_learnt_from_what_it_adds(batch_of, trained):
    network = trained(searching())
    token = network.tokens(batch_of(ROWS, SEARCHES))
    network.query_direct(lay_out(batch_of(ROWS, SEARCHES), token)).square().sum().backward()
    assert network.query_direct.scale.grad.abs().sum() > 0
    assert network.query_direct.recency.age.grad.abs().sum() > 0
    assert all(p.grad is None for name, p in network.named_parameters() if not name.startswith("query_direct"))


def test_agreement_teaches_queries_and_leaves_items_alone(batch_of, trained):
    network = trained(searching())
    batch = batch_of(ROWS, SEARCHES)
    query_agreement(network.tokens(batch), batch, network.item_embedding, 20).backward()
    assert network.query_text.gram_embedding.weight.grad.abs().sum() > 0
    assert network.item_embedding.weight.grad is None


def test_trained_by_agreement_a_query_names_what_was_clicked_for_it(batch_of):
    torch.manual_seed(0)
    network = searching()
    clicked = torch.tensor([3, 11])
    batch = replace(batch_of(ROWS, SEARCHES), search_click_item=clicked)
    adam = torch.optim.Adam([p for name, p in network.named_parameters() if name.startswith("query_")], 0.02)
    for _ in range(40):
        adam.zero_grad()
        query_agreement(network.tokens(batch), batch, network.item_embedding, 20).backward()
        adam.step()
    network.eval()
    score = network.tokens(batch) @ torch.nn.functional.normalize(network.item_vectors(), dim=1).T
    assert score[:, 1:].argmax(1).add(1).equal(clicked)


@pytest.mark.parametrize("missing", [False, True])
def test_without_a_known_click_there_is_nothing_to_agree_with(missing, batch_of, trained):
    network, batch = trained(searching()), batch_of(ROWS, SEARCHES)
    none = None if missing else torch.zeros(0, dtype=torch.int64)
    batch = replace(batch, search_click=none, search_click_item=none)
    assert query_agreement(network.tokens(batch), batch, network.item_embedding, 20).item() == 0


def test_the_loss_of_the_config_and_the_agreement_are_added(batch_of, trained):
    network, batch = trained(searching(agreement=0.5)), batch_of(ROWS, SEARCHES)
    torch.manual_seed(0)
    whole = network.training_loss(batch, Softmax())
    torch.manual_seed(0)
    agreed = query_agreement(network.tokens(batch), batch, network.item_embedding, 20)
    assert agreed > 0.1
    torch.testing.assert_close(whole, Softmax()(*network.training_points(batch)) + 0.5 * agreed)


def test_a_branch_without_it_can_be_grown_into_one_with_it(batch_of, trained):
    """The encoder of queries comes along, and does not begin anew with that of titles."""
    described = {"content": True, "share_text": False}
    earlier = trained(SearchSASRec(**SHAPE, buckets=257, **described))
    later = searching(**described).eval()
    later.load_backbone(earlier.state_dict())
    batch = batch_of(ROWS, SEARCHES)
    assert torch.equal(later.encode(batch), earlier.encode(batch))


def test_direct_is_zero_where_nothing_is_seen(batch_of):
    direct = Direct()
    torch.nn.init.ones_(direct.scale)
    batch = batch_of(ROWS, SEARCHES)
    added = direct(lay_out(batch, torch.ones(2, 16)))
    assert added[0, 0].eq(0).all()
    assert added[1].eq(0).all()
    assert added[0, 1:3].gt(0).all()
