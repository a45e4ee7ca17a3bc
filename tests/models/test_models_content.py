"""Items by what they say of themselves: the plain sum, in every way that it is asked for."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from recsys.errors import InputError
from recsys.losses import BCE, GBCE, FullSoftmax, InBatchSoftmax, SampledSoftmax, Softmax
from recsys.models import BERT4Rec, SASRec, SearchSASRec
from recsys.models.content import CATEGORIES, Content, ItemEmbedding
from recsys.models.text import gram_matrix

ITEMS = 20
SHAPE = {"n_items": ITEMS, "max_len": 8, "dim": 16, "layers": 1, "heads": 2, "inner_dim": 24}
ROWS = [[3, 5, 7], [2], [9, 9, 1, 4]]
TITLES = ["", *(f"red shoe {i % 5}" for i in range(1, ITEMS - 1)), ""]
CLICKED = np.arange(ITEMS) % 3 > 0
LOSSES = [FullSoftmax(), Softmax(), SampledSoftmax(6), InBatchSoftmax(), BCE(3), GBCE(3)]


@pytest.fixture
def content() -> Content:
    """Titles of all items but the last, two categories where the number is even, a vector of width 3 each."""
    rng = np.random.default_rng(0)
    category = rng.integers(1, 2**32, (ITEMS, 2)).astype(np.uint32)
    category[0], category[1::2, 1] = 0, 0
    vector = rng.normal(size=(ITEMS, 3)).astype(np.float32)
    return Content(gram_matrix(TITLES).astype(np.uint32), category, vector)


@pytest.fixture(params=[SASRec, BERT4Rec, SearchSASRec])
def network(request, trained, content):
    """A model with content, told what is known of the items."""
    made = trained(request.param(**SHAPE, content=True, buckets=97, vector_width=3))
    made.described.describe(content, CLICKED)
    return made


def plain_rows(embedding: ItemEmbedding, content: Content) -> torch.Tensor:
    """The formula, item by item."""
    rows = []
    for item in range(ITEMS):
        row = embedding.weight[item] if CLICKED[item] or item == 0 else torch.zeros(16)
        hashes = [int(g) for g in content.gram[item] if g]
        if hashes:
            mean = torch.stack([embedding.text.gram_embedding.weight[1 + (g - 1) % 96] for g in hashes]).mean(0)
            row = row + embedding.text.linear(mean)
        for c in content.category[item]:
            if c:
                row = row + embedding.categories.weight[1 + (int(c) - 1) % (CATEGORIES - 1)]
        vector = torch.from_numpy(content.vector[item])
        normal = (vector - vector.mean()) / (vector.var(unbiased=False) + 1e-5).sqrt()
        rows.append(row + embedding.vector_map.weight @ normal)
    return torch.stack(rows)


def test_a_vector_is_id_and_text_and_categories_and_vectors(network, content):
    expected = plain_rows(network.described, content)
    torch.testing.assert_close(network.item_vectors()[:, :16], expected)
    some = torch.tensor([[3, 3], [0, 19]])
    torch.testing.assert_close(network.described(some), expected[some])
    with torch.no_grad():
        torch.testing.assert_close(network.item_vectors()[:, :16], expected)
        torch.testing.assert_close(network.described(some), expected[some])


def test_what_nobody_clicked_in_training_is_its_content_alone(network):
    parts = network.item_parts(torch.arange(1, ITEMS))
    assert (parts["id"].abs().amax(1) > 1e-3).tolist() == CLICKED[1:].tolist()
    assert parts["content"].abs().amax(1).min() > 1e-3
    torch.testing.assert_close(parts["id"] + parts["content"], network.item_vectors()[1:])


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_loss_is_that_of_the_whole_table_in_value_and_gradient(network, batch_of, loss):
    loss = copy.deepcopy(loss)
    loss.prepare(torch.arange(ITEMS))
    batch = batch_of(ROWS, [(0, 1, 1, "red shoe")], next_item=[4, 5, 6])
    batch = dataclasses.replace(batch, target_item=torch.tensor([4, 5, 6]))
    found = []
    for lazy in (True, False):
        torch.manual_seed(0)
        vectors, table, target = network.training_points(batch)
        torch.manual_seed(1)
        value = loss(vectors, table if lazy else network.item_vectors(), target)
        network.zero_grad()
        value.backward()
        found.append((value, {name: p.grad for name, p in network.named_parameters() if p.grad is not None}))
    (lazy, ours), (whole, theirs) = found
    torch.testing.assert_close(lazy, whole)
    for name in theirs:
        torch.testing.assert_close(ours.get(name, torch.zeros_like(theirs[name])), theirs[name], msg=name)
    assert ours["item_embedding.text.gram_embedding.weight"].abs().sum() > 0
    assert ours["item_embedding.categories.weight"].abs().sum() > 0
    assert not ours["item_embedding.weight"][1:ITEMS][~CLICKED[1:]].any()


def test_a_loss_that_samples_asks_for_no_other_rows(network, batch_of, monkeypatch):
    asked = []
    rows = ItemEmbedding.content_rows
    monkeypatch.setattr(ItemEmbedding, "content_rows", lambda self, ids: asked.append(ids) or rows(self, ids))
    loss = SampledSoftmax(3, popular=0)
    loss(*network.training_points(batch_of(ROWS, next_item=[4, 5, 6])))
    assert all(isinstance(ids, torch.Tensor) and len(ids) < ITEMS for ids in asked)


def test_the_whole_table_is_kept_until_a_weight_changes(network, monkeypatch):
    embedding, made = network.described, []
    rows = ItemEmbedding.content_rows
    monkeypatch.setattr(ItemEmbedding, "content_rows", lambda self, ids: made.append(ids) or rows(self, ids))
    with torch.no_grad():
        first = embedding.vectors()
        assert embedding.vectors() is first
        assert len(made) == 1
        for tensor in (embedding.weight, embedding.text.linear.bias, embedding.has_id):
            before = embedding.vectors().clone()
            tensor[1:5] = tensor[1:5] + 1
            assert not torch.equal(embedding.vectors(), before)
        embedding.load_state_dict({name: torch.zeros_like(each) for name, each in embedding.state_dict().items()})
        assert not embedding.vectors().any()


def test_until_it_is_told_of_content_it_is_the_model_without(batch_of, trained):
    for kind in (SASRec, BERT4Rec):
        plain, told = kind(**SHAPE).eval(), kind(**SHAPE, content=True, buckets=97).eval()
        told.load_state_dict(plain.state_dict(), strict=False)
        with torch.no_grad():
            assert torch.equal(told.encode(batch_of(ROWS)), plain.encode(batch_of(ROWS)))
            assert torch.equal(told.item_vectors(), plain.item_vectors())


def test_a_state_brings_what_is_known_of_the_items(network, batch_of):
    again = type(network)(**network.hyperparameters)
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        batch = batch_of(ROWS, [(0, 1, 1, "red shoe")])
        assert torch.equal(again.eval().encode(batch), network.encode(batch))
        assert torch.equal(again.item_vectors(), network.item_vectors())


def test_a_state_of_another_catalogue_is_refused(network):
    other = type(network)(**{**network.hyperparameters, "n_items": ITEMS + 1})
    with pytest.raises(RuntimeError, match="size mismatch"):
        other.load_state_dict(network.state_dict())


def test_vectors_of_another_width_are_refused(content):
    with pytest.raises(InputError, match=r"width 3, but the model was made for vector_width 0"):
        SASRec(**SHAPE, content=True, buckets=97).described.describe(content, CLICKED)


def test_queries_go_through_the_encoder_of_titles(content, batch_of):
    model = SearchSASRec(**SHAPE, content=True, buckets=97, vector_width=3)
    assert model.text is model.described.text
    assert not any(name.startswith("query_text") for name in model.state_dict())
    own = SearchSASRec(**SHAPE, content=True, buckets=97, vector_width=3, share_text=False)
    assert own.text is own.query_text is not own.described.text


def test_a_frozen_encoder_of_titles_has_a_copy_that_learns_queries(trained, batch_of, content):
    plain = trained(SASRec(**SHAPE, content=True, buckets=97, vector_width=3))
    plain.described.describe(content, CLICKED)
    grown = SearchSASRec(**SHAPE, content=True, buckets=97, vector_width=3)
    grown.part_text()
    grown.load_backbone(plain.state_dict())
    for parameter in grown.backbone():
        parameter.requires_grad_(False)
    assert torch.equal(grown.text.gram_embedding.weight, plain.described.text.gram_embedding.weight)
    batch = batch_of(ROWS, [(0, 1, 1, "red shoe")])
    assert torch.equal(grown.eval().encode(batch), plain.encode(batch))
    with torch.no_grad():
        grown.query_fusion.scale += 0.1
    grown.encode(batch).square().sum().backward()
    assert grown.query_text.gram_embedding.weight.grad.abs().sum() > 0
    assert grown.described.text.gram_embedding.weight.grad is None
    again = SearchSASRec(**grown.hyperparameters)
    again.load_state_dict(grown.state_dict())
    assert torch.equal(again.eval().encode(batch), grown.encode(batch))
