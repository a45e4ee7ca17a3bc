"""SearchBERT4Rec is BERT4Rec until a search is visible, and is trained as it is asked."""

from dataclasses import replace

import pytest
import torch

from recsys.models import BERT4Rec, SearchBERT4Rec
from recsys.models.search_bert4rec import some_of_each

SHAPE = {"n_items": 20, "max_len": 8, "dim": 16, "layers": 2, "heads": 2, "inner_dim": 24}
ROWS = [[3, 5, 7], [2], [9, 9, 1, 4]]
SEARCHES = [(0, 1, 1, "red shoes"), (2, 3, 2, "blue hat")]


@pytest.fixture
def models(trained):
    plain, grown = trained(BERT4Rec(**SHAPE)), trained(SearchBERT4Rec(**SHAPE, buckets=257), seed=1)
    grown.load_backbone(plain.state_dict())
    return plain, grown


def test_step_zero_is_bert4rec_to_the_bit(batch_of, trained):
    plain, fresh = trained(BERT4Rec(**SHAPE)), SearchBERT4Rec(**SHAPE, buckets=257).eval()
    fresh.load_backbone(plain.state_dict())
    assert torch.equal(fresh.encode(batch_of(ROWS, SEARCHES)), plain.encode(batch_of(ROWS, SEARCHES)))
    assert torch.equal(fresh.item_vectors(), plain.item_vectors())


def test_only_those_who_searched_are_told_otherwise(models, batch_of):
    plain, grown = models
    ours, theirs = (model.encode(batch_of(ROWS, SEARCHES)) for model in (grown, plain))
    assert torch.equal(ours[1], theirs[1])
    assert (ours[[0, 2]] - theirs[[0, 2]]).abs().amax(1).min() > 1e-2


def test_a_point_sees_the_searches_up_to_its_position_though_the_network_looks_both_ways(models, batch_of):
    plain, grown = models
    points = [(0, 0), (0, 1), (0, 2)]
    ours, theirs = (model.encode(batch_of(ROWS, [(0, 1, 1, "red")], points)) for model in (grown, plain))
    assert torch.equal(ours[0], theirs[0])
    assert (ours[1:] - theirs[1:]).abs().amax(1).min() > 1e-2


def test_it_is_trained_on_prefixes_of_each_history_with_what_it_would_be_asked(models, batch_of, monkeypatch):
    _, grown = models
    monkeypatch.setattr(grown, "prefixes", 1)
    points = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 1), (2, 3)]
    batch = batch_of(ROWS, SEARCHES, points)
    batch = replace(batch, target_point=torch.tensor([0, 2, 2, 3, 5]), target_item=torch.tensor([11, 12, 13, 14, 15]))
    asked, drawn = grown.encode(batch), set()
    for seed in range(30):
        torch.manual_seed(seed)
        vectors, table, target = grown.training_points(batch)
        assert torch.equal(table, grown.item_vectors())
        for vector, item in zip(vectors, target.tolist(), strict=True):
            torch.testing.assert_close(vector, asked[batch.target_point[batch.target_item == item]][0])
        drawn.add(tuple(target.tolist()))
    assert drawn == {(11, 14, 15), (12, 13, 14, 15)}
    monkeypatch.setattr(grown, "prefixes", 2)
    assert grown.training_points(batch)[2].tolist() == [11, 12, 13, 14, 15]


def test_every_point_with_a_target_has_the_same_chance(batch_of):
    batch = batch_of(ROWS, points=[(0, 0), (0, 1), (0, 2), (2, 3)])
    batch = replace(batch, target_point=torch.tensor([0, 0, 2]), target_item=torch.tensor([1, 2, 3]))
    torch.manual_seed(0)
    chosen = torch.stack([some_of_each(batch, 1) for _ in range(400)]).sum(0)
    assert chosen[[1, 3]].tolist() == [0, 0]
    assert chosen.sum() == 400
    assert 150 < chosen[0] < 250
    assert some_of_each(batch, 2).tolist() == [True, False, True, False]
