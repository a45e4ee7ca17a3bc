"""SearchSASRec is SASRec until a search is visible."""

import pytest
import torch

from recsys.models import SASRec, SearchSASRec

SHAPE = {"n_items": 20, "max_len": 8, "dim": 16, "layers": 2, "heads": 2, "inner_dim": 24}
ROWS = [[3, 5, 7], [2], [9, 9, 1, 4]]
SEARCHES = [(0, 1, 1, "red shoes"), (2, 3, 2, "blue hat")]


@pytest.fixture
def models(trained):
    """A trained SASRec, and a SearchSASRec grown from it whose own search branch is trained too."""
    plain = trained(SASRec(**SHAPE))
    grown = trained(SearchSASRec(**SHAPE, buckets=257), seed=1)
    grown.load_backbone(plain.state_dict())
    assert grown.query_scale.abs().min() > 1e-4
    return plain, grown


def test_step_zero_is_sasrec_to_the_bit(batch_of, trained):
    plain = trained(SASRec(**SHAPE))
    fresh = SearchSASRec(**SHAPE, buckets=257).eval()
    fresh.load_backbone(plain.state_dict())
    assert torch.equal(fresh.encode(batch_of(ROWS, SEARCHES)), plain.encode(batch_of(ROWS, SEARCHES)))
    assert torch.equal(fresh.item_vectors(), plain.item_vectors())


def test_without_a_visible_search_it_is_sasrec_to_the_bit(models, batch_of):
    plain, grown = models
    assert torch.equal(grown.encode(batch_of(ROWS)), plain.encode(batch_of(ROWS)))


def test_a_row_without_a_search_beside_rows_with_one_is_sasrec_to_the_bit(models, batch_of):
    plain, grown = models
    ours, theirs = (model.encode(batch_of(ROWS, SEARCHES)) for model in (grown, plain))
    assert torch.equal(ours[1], theirs[1])
    assert (ours[[0, 2]] - theirs[[0, 2]]).abs().amax(1).min() > 1e-2


def test_a_search_is_seen_from_its_position_on_and_not_before(models, batch_of):
    plain, grown = models
    points = [(0, 0), (0, 1), (0, 2)]
    ours, theirs = (model.encode(batch_of(ROWS, [(0, 1, 1, "red")], points)) for model in (grown, plain))
    assert torch.equal(ours[0], theirs[0])
    assert (ours[1:] - theirs[1:]).abs().amax(1).min() > 1e-2


@torch.no_grad()
def test_searches_at_one_position_are_averaged(models, batch_of):
    _, grown = models
    queries = [(1, "red shoes"), (2, "blue hat")]
    row, place = 0, 1
    both = grown._pending(batch_of(ROWS, [(row, place, kind, text) for kind, text in queries]))
    alone = [grown._pending(batch_of(ROWS, [(row, place, kind, text)])) for kind, text in queries]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)
    assert both[row, place].abs().max() > 1e-2
    both[row, place] = 0
    assert not both.any()  # and nothing stands anywhere else


@torch.no_grad()
def test_a_search_is_its_text_and_its_type(models, batch_of):
    _, grown = models
    pending = grown._pending(batch_of(ROWS, [(0, 2, 5, "red"), (1, 0, 5, "　 ")]))
    text = grown.query_text(batch_of(ROWS, [(0, 2, 5, "red")]).search_gram)[0]
    kind = grown.query_type.weight[5]
    torch.testing.assert_close(pending[0, 2], grown.query_norm(text + kind))
    torch.testing.assert_close(pending[1, 0], grown.query_norm(kind))  # white space is no text: its type alone


def test_only_the_scale_learns_at_first_and_then_the_whole_branch(batch_of):
    torch.manual_seed(0)
    model = SearchSASRec(**SHAPE, buckets=257)
    model.encode(batch_of(ROWS, SEARCHES)).pow(2).sum().backward()
    assert model.query_scale.grad.abs().sum() > 0
    assert model.query_type.weight.grad.abs().sum() == 0
    with torch.no_grad():
        model.query_scale += 0.1
    model.encode(batch_of(ROWS, SEARCHES)).pow(2).sum().backward()
    assert model.query_type.weight.grad.abs().sum() > 0
    assert model.query_text.gram_embedding.weight.grad[1:].abs().sum() > 0


def test_the_backbone_is_everything_of_sasrec_and_nothing_else():
    model = SearchSASRec(**SHAPE, buckets=257)
    assert sum(p.numel() for p in model.backbone()) == sum(p.numel() for p in SASRec(**SHAPE).parameters())


@pytest.mark.parametrize("other", [{"dim": 8}, {"layers": 1}, {"layers": 3}, {"n_items": 21}, {"max_len": 9}])
def test_a_backbone_of_another_shape_is_refused(other):
    with pytest.raises((ValueError, RuntimeError), match=r"size mismatch|not the weights of this SASRec"):
        SearchSASRec(**SHAPE, buckets=257).load_backbone(SASRec(**{**SHAPE, **other}).state_dict())
