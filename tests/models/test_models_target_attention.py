"""SESRec and UniSAR: a vector for the catalogue, ratings for given candidates, and what they are trained by."""

import math
from dataclasses import replace

import pytest
import torch

from recsys.errors import InputError
from recsys.losses import Softmax
from recsys.models import SESRec, UniSAR
from recsys.models.sesrec import sorted_by
from recsys.models.target_attention import agreement
from recsys.models.unisar import Alignment

SHAPE = {"n_items": 20, "max_len": 8, "dim": 8, "inner_dim": 16, "buckets": 97}
ROWS = [[3, 5, 7], [2], [], [9, 9, 1, 4]]
SEARCHES = [(0, 1, 1, "red shoes"), (3, 0, 3, "socks"), (3, 3, 2, "blue hat")]
KINDS = [SESRec, UniSAR]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def network(request, trained):
    return trained(request.param(**SHAPE)).double()


def same(left, right):
    torch.testing.assert_close(left, right, rtol=0, atol=1e-10)


@torch.no_grad()
def test_a_rating_is_of_the_point_and_the_candidate_alone(network, batch_of):
    """Whatever else is in the list, however long, and wherever in it the candidate stands."""
    batch = batch_of(ROWS, SEARCHES)
    listed = torch.randint(1, 20, (4, 70), generator=torch.Generator().manual_seed(0))
    ratings = network.candidate_scores(batch, listed)
    assert ratings.shape == (4, 70)
    order = torch.randperm(70, generator=torch.Generator().manual_seed(1))
    same(network.candidate_scores(batch, listed[:, order]), ratings[:, order])
    same(network.candidate_scores(batch, listed[:, 66:67]), ratings[:, 66:67])
    alone = batch_of(ROWS[3:], [(0, *search[1:]) for search in SEARCHES[1:]])
    same(network.candidate_scores(alone, listed[3:]), ratings[3:])
    assert network.candidate_scores(batch, listed[:, :0]).shape == (4, 0)


@torch.no_grad()
def test_ratings_are_no_dot_products(network, batch_of):
    listed = torch.arange(1, 20).expand(4, 19)
    batch = batch_of(ROWS, SEARCHES)
    products = network.encode(batch) @ network.item_vectors()[1:].T
    orders = (scores.argsort(1) for scores in (network.candidate_scores(batch, listed), products))
    assert (next(orders) != next(orders)).any(1).all()


@torch.no_grad()
def test_ratings_and_vectors_read_clicks_and_searches(network, batch_of):
    listed = torch.arange(1, 20).expand(1, 19)
    texts = ["red", "blue"]
    others = [
        batch_of([[3, 5, 7]], [(0, 1, 1, text)], times=[[0, 9, 20 + wait, 60 + wait]])
        for text in texts
        for wait in (0, 40)
    ] + [batch_of([[3, 5, 8]], [(0, 1, 1, "red")], times=[[0, 9, 20, 60]])]
    for answer in (lambda batch: network.candidate_scores(batch, listed), network.encode):
        answers = torch.stack([answer(batch) for batch in others]).flatten(1)
        assert (torch.cdist(answers, answers) + torch.eye(5)).min() > 1e-4


@torch.no_grad()
def test_only_the_latest_searches_are_read(batch_of, trained):
    searches = [(0, 2, 1, text) for text in ("one", "two", "three")]
    for kind in KINDS:
        network = trained(kind(**SHAPE, max_searches=2)).double()
        same(network.encode(batch_of(ROWS[:1], searches)), network.encode(batch_of(ROWS[:1], searches[1:])))
        assert (network.encode(batch_of(ROWS[:1], searches[::-1])) - network.encode(batch_of(ROWS[:1], searches))).any()


def test_a_step_without_any_click_or_search_is_finite(network, batch_of):
    for batch in (batch_of([[], []]), batch_of([[1, 2], [3]]), batch_of([[], []], [(0, 0, 1, "red")])):
        network.train()
        loss = network.training_loss(batch, Softmax())
        network.zero_grad()
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad.isfinite().all() for p in network.parameters())
        network.eval()


def test_another_loss_is_put_on_the_vectors_and_the_rest_stays(network, batch_of):
    """The loss that a config names is one part of several, the others are the model's own."""
    batch = batch_of(ROWS, SEARCHES)
    torch.manual_seed(0)
    whole = network.training_loss(batch, Softmax())
    torch.manual_seed(0)
    rest = network.training_loss(batch, lambda vectors, table, target: vectors.sum() * 0)
    same(whole - rest, Softmax()(*network.training_points(batch)))
    assert rest > 0.5  # a cross-entropy of ratings among the rest


def test_what_is_trained_is_what_is_asked(network, batch_of):
    """Torch has other kernels where no gradient is wanted."""
    batch = batch_of(ROWS, SEARCHES)
    trained_ = network.encode(batch)
    with torch.inference_mode():
        same(network.encode(batch), trained_.detach())


def test_a_negative_is_neither_another_target_nor_in_the_history(network, batch_of):
    batch = batch_of([[3, 5], [7]], points=[(0, 1), (1, 0)])
    batch = replace(batch, target_point=torch.tensor([0, 0, 1, 1]), target_item=torch.tensor([8, 9, 3, 10]))
    found = {i: set() for i in range(4)}
    for seed in range(40):
        torch.manual_seed(seed)
        drawn, fresh = network._negatives(batch)
        assert drawn.shape == (4, 4)
        for i in range(4):
            found[i] |= set(drawn[i][fresh[i]].tolist())
    assert found == {0: {10}, 1: {10}, 2: {8, 9}, 3: {8, 9}}


@pytest.mark.parametrize("wrong", [{"max_searches": 0}, {"negatives": 0}, {"temperature": 0.0}])
def test_a_number_that_cannot_be_is_named(wrong):
    (name,) = wrong
    for kind in KINDS:
        with pytest.raises(InputError, match=rf"--model\.network\.init_args\.{name} 0.*: must be"):
            kind(**SHAPE, **wrong)


def test_agreement_by_hand():
    """Two queries, three clicks; of the drawn items one was clicked, and each query of the other item is a negative."""
    query = torch.tensor([[0.3, 0.1], [-0.2, 0.5]])
    table = torch.tensor([[0.0, 0.0], [0.4, 0.2], [0.1, -0.3], [0.6, 0.6]])
    search, item, drawn = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2]), torch.tensor([2, 3])

    def likeness(s, i):
        return math.exp(math.tanh(float(query[s] @ table[i])) / 0.5)

    to_items = [
        likeness(0, 1) / (likeness(0, 1) + likeness(0, 3)),  # 2 was clicked too
        likeness(0, 2) / (likeness(0, 2) + likeness(0, 3)),
        likeness(1, 2) / (likeness(1, 2) + likeness(1, 3)),
    ]
    to_queries = [likeness(0, 1) / (likeness(0, 1) + likeness(1, 1)), 1, 1]  # both led to 2
    expected = -sum(map(math.log, to_items + to_queries)) / 6
    found = agreement(query, search, item, table[item], drawn, table[drawn], torch.tensor(0.5))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_tokens_alike_have_their_equal_share():
    share = torch.tensor([[0.5, 0.3, 0.2, 0.0], [1.0, 0.0, 0.0, 0.0]])
    real = torch.tensor([[True, True, True, False], [True, False, False, False]])
    alike, unlike = sorted_by(share, real)
    assert alike.tolist() == [[True, False, False, False], [True, False, False, False]]
    assert unlike.tolist() == [[False, True, True, False], [False] * 4]


def test_an_empty_set_is_all_tokens_and_soft_sets_are_weights():
    share = torch.tensor([[0.5, 0.3, 0.2, 0.0], [1.0, 0.0, 0.0, 0.0]])
    real = share > 0
    hard = SESRec(**SHAPE)._sets(share, real).exp()
    assert hard[0].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [0, 1, 1, 0]]
    assert hard[1].tolist() == [[1, 0, 0, 0]] * 3
    soft = SESRec(**SHAPE, split="soft")._sets(share, real).exp()
    torch.testing.assert_close(soft[0], torch.stack([real[0].float(), share[0], (1 - share[0]) * real[0]]))


def test_softly_split_the_co_attention_learns_from_the_ratings(batch_of):
    for split, learns in (("hard", False), ("soft", True)):
        torch.manual_seed(0)
        network = SESRec(**SHAPE, split=split, contrast=0.0)
        network.training_loss(batch_of(ROWS, SEARCHES), Softmax()).backward()
        assert bool(network.relation.weight.grad.any()) == learns


@torch.no_grad()
def test_what_is_crossed_sees_the_other_kind_alone(batch_of, trained):
    network = trained(UniSAR(**SHAPE)).double()

    def crossed(history, text):
        batch = batch_of([history], [(0, 1, 1, "hat"), (0, 1, 1, text)])
        past = network._past(network.item_vectors(batch.item), batch, network.searches(batch))
        return network._crossed(past)

    clicks, searches = crossed([3, 5, 7], "red")
    other_clicks, searches_of_others = crossed([3, 5, 8], "red")
    same(clicks[0, :2], other_clicks[0, :2])  # not by its neighbour
    assert (searches - searches_of_others).abs().amax(-1).min() > 1e-4
    clicks_of_others, other_searches = crossed([3, 5, 7], "blue")
    assert (clicks - clicks_of_others).abs().amax(-1).min() > 1e-4
    same(searches[0, [0, 2]], other_searches[0, [0, 2]])  # newest first, behind the one for none


@torch.no_grad()
def test_alignment_by_hand():
    """Of three points, two of one user: the other view is to be told from the two views of the other user."""
    align = Alignment(2)
    align.map.weight.copy_(torch.eye(2))
    one, other = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]), torch.tensor([[0.8, 0.1], [0.4, 0.6], [0.3, 0.9]])
    views, user = torch.cat([one, other]), [0, 0, 1, 0, 0, 1]
    losses = []
    for i in range(6):
        likeness = [math.exp(math.tanh(float(views[i] @ view)) / 0.1) for view in views]
        own = likeness[(i + 3) % 6]
        losses.append(-math.log(own / (own + sum(x for x, u in zip(likeness, user, strict=True) if u != user[i]))))
    found = align(one, other, torch.tensor([0, 0, 1]))
    assert float(found) == pytest.approx(sum(losses) / 6, rel=1e-4)
    assert align(one[:0], other[:0], torch.zeros(0, dtype=torch.int64)) == 0
