"""What else is in the batch changes no vector."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.models import BERT4Rec, SASRec, SearchSASRec

SHAPE = {"n_items": 12, "max_len": 8, "dim": 8, "layers": 2, "heads": 2, "inner_dim": 16}
HISTORY = st.lists(st.integers(1, 11), min_size=1, max_size=7)


@pytest.fixture(scope="module", params=[SASRec, BERT4Rec, SearchSASRec], ids=lambda model: model.__name__)
def network(request, trained):
    more = {"buckets": 64} if request.param is SearchSASRec else {}
    return trained(request.param(**SHAPE, **more))


def same(left, right):
    torch.testing.assert_close(left, right, rtol=0, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(HISTORY, st.lists(HISTORY, max_size=3), st.integers(1, 8), st.sampled_from(["", "red", "a blue hat"]))
@torch.no_grad()
def test_padding_and_other_rows_change_nothing(network, batch_of, history, others, length, text):
    mine = [(0, len(history) - 1, 2, text)]
    theirs = [(1 + i, 0, 1, "green socks") for i in range(len(others))]
    alone = network.encode(batch_of([history], mine))
    same(network.encode(batch_of([history, *others], mine + theirs, length=length))[:1], alone)


@torch.no_grad()
def test_a_history_that_is_empty_is_finite_and_the_same_for_everyone(network, batch_of):
    vectors = network.encode(batch_of([[], [4, 2], []]))
    assert vectors.isfinite().all()
    same(vectors[0], vectors[2])


def test_encoding_leaves_the_batch_as_it_was(network, batch_of):
    batch = batch_of([[1, 2], [3]], [(0, 1, 1, "red")], next_item=[4, 5])
    before = {name: value.clone() for name, value in vars(batch).items()}
    network.encode(batch)
    network.training_points(batch)
    assert all(torch.equal(before[name], value) for name, value in vars(batch).items())


def test_hyperparameters_build_the_same_model_again(network):
    again = type(network)(**network.hyperparameters)
    again.load_state_dict(network.state_dict())
    assert again.hyperparameters == network.hyperparameters
    assert again.n_items == network.n_items == 12
