"""Of every native model: what else is in the batch changes no vector, and the same seed gives the same weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.losses import Softmax
from recsys.models import (
    HSTU,
    BERT4Rec,
    CausalTransformer,
    SASRec,
    SearchBERT4Rec,
    SearchSASRec,
    SESRec,
    UniSAR,
    eSASRec,
)

SIZE = {"n_items": 12, "max_len": 8, "dim": 8, "layers": 2, "heads": 2}
SHAPE = {**SIZE, "inner_dim": 16}
BARE = {"positions": False, "tied": False, "temperature": 0.5}
NETWORKS = {
    "SASRec": lambda: SASRec(**SHAPE),
    "BERT4Rec": lambda: BERT4Rec(**SHAPE),
    "SearchSASRec": lambda: SearchSASRec(**SHAPE, buckets=64),
    "SearchBERT4Rec": lambda: SearchBERT4Rec(**SHAPE, buckets=64),
    "SESRec": lambda: SESRec(**SHAPE, buckets=64),
    "SESRec, soft": lambda: SESRec(**SHAPE, buckets=64, split="soft"),
    "UniSAR": lambda: UniSAR(**SHAPE, buckets=64),
    "HSTU": lambda: HSTU(**SIZE),
    "HSTU bare": lambda: HSTU(**SIZE, **BARE),
    "eSASRec": lambda: eSASRec(**SHAPE),
    "eSASRec with times": lambda: eSASRec(**SHAPE, time_bias=True),
    "pre": lambda: CausalTransformer(**SHAPE, residual="pre", time_bias=True, **BARE),
    "post": lambda: CausalTransformer(**SHAPE, residual="post"),
}
HISTORY = st.lists(st.integers(1, 11), min_size=1, max_size=7)


@pytest.fixture(scope="module", params=NETWORKS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def network(kind, trained):
    return trained(NETWORKS[kind]()).double()  # an effect and a rounding error are many orders apart


def same(left, right):
    torch.testing.assert_close(left, right, rtol=0, atol=1e-10)


def clock(history, pace):
    """Times of a history and of the request behind it: the first gap is `pace` seconds, each next one twice that."""
    return [1_700_000_000 + pace * 2**i for i in range(len(history) + 1)]


@settings(max_examples=30, deadline=None)
@given(
    HISTORY,
    st.lists(HISTORY, max_size=3),
    st.integers(1, 8),
    st.sampled_from(["", "red", "a blue hat"]),
    st.integers(0, 10_000),
)
@torch.no_grad()
def test_padding_and_other_rows_change_nothing(network, batch_of, history, others, length, text, pace):
    mine = [(0, len(history) - 1, 2, text)]
    theirs = [(1 + i, 0, 1, "green socks") for i in range(len(others))]
    times = [clock(history, pace), *(clock(other, 7) for other in others)]
    alone = network.encode(batch_of([history], mine, times=times[:1]))
    beside = batch_of([history, *others], mine + theirs, length=length, times=times)
    same(network.encode(beside)[:1], alone)


@settings(max_examples=20, deadline=None)
@given(HISTORY, HISTORY, st.integers(0, 10_000))
@torch.no_grad()
def test_what_follows_a_point_changes_nothing(network, batch_of, history, later, pace):
    whole = (history + later)[:7]
    times = clock(whole, pace)
    alone = network.encode(batch_of([history], times=[times[: len(history) + 1]]))
    same(network.encode(batch_of([whole], points=[(0, len(history) - 1)], times=[times])), alone)


@torch.no_grad()
def test_unknown_times_are_one_second(network, batch_of):
    history = [3, 1, 4]
    same(network.encode(batch_of([history])), network.encode(batch_of([history], times=[[60] * 4])))


@torch.no_grad()
def test_only_differences_of_times_count(network, batch_of):
    one, other = (network.encode(batch_of([[3, 1]], times=[[t, t + 9, t + 4000]])) for t in (0, 1_700_000_000))
    assert torch.equal(one, other)


@torch.no_grad()
def test_a_model_declares_what_it_reads_because_batches_leave_out_the_rest(network, batch_of):
    history, times = [3, 1, 4], [[60, 90, 4000, 4010]]
    searches = [(0, 1, 1, "red")]
    plain, searched = network.encode(batch_of([history])), network.encode(batch_of([history], searches))
    assert network.uses_times == bool((network.encode(batch_of([history], searches, times=times)) != searched).any())
    assert network.uses_searches == bool((searched != plain).any())


@torch.no_grad()
def test_a_history_that_is_empty_is_finite_and_the_same_for_everyone(network, batch_of):
    vectors = network.encode(batch_of([[], [4, 2], []]))
    assert vectors.isfinite().all()
    same(vectors[0], vectors[2])


def test_encoding_leaves_the_batch_as_it_was(network, batch_of):
    batch = batch_of([[1, 2], [3]], [(0, 1, 1, "red")], next_item=[4, 5], times=[[1, 5, 9], [2, 3]])
    before = {name: value.clone() for name, value in vars(batch).items()}
    network.encode(batch)
    network.training_loss(batch, Softmax())
    assert all(torch.equal(before[name], value) for name, value in vars(batch).items())


def test_hyperparameters_build_the_same_model_again(network):
    again = type(network)(**network.hyperparameters)
    again.load_state_dict(network.state_dict())
    assert again.hyperparameters == network.hyperparameters
    assert again.n_items == network.n_items == 12


def test_the_same_seed_gives_the_same_weights(kind, batch_of):
    """Initial weights, dropout, masks and all: after three steps they are equal to the bit."""
    batch = batch_of([[1, 2, 3, 4], [5, 6]], [(0, 1, 1, "red")], next_item=[7, 8], times=[[1, 5, 9, 80, 81], [2, 3, 4]])

    def fitted(seed):
        torch.manual_seed(seed)
        network = NETWORKS[kind]()
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            network.training_loss(batch, Softmax()).backward()
            optimizer.step()
        return torch.cat([parameter.flatten() for parameter in network.parameters()])

    first = fitted(3)
    assert torch.equal(fitted(3), first)
    assert not torch.equal(fitted(4), first)
