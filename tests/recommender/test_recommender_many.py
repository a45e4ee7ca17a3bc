"""Many users at once: what each of them alone would be answered, whoever stands beside them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recommender_models import MORE, TOKENS

from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint
from recsys.errors import InputError
from recsys.models import HSTU, RecBole, SASRec, SearchSASRec
from recsys.recommender import Recommender
from recsys.recommender import recommender as room

ITEM = st.sampled_from(TOKENS)
HISTORY = st.lists(ITEM, max_size=9)
QUERIES = st.lists(st.sampled_from(["red shoes", "猫", "", "a longer query than the others"]), max_size=3)
USERS = st.lists(st.tuples(HISTORY, QUERIES), min_size=1, max_size=6)


def alike(found, expected):
    """The same answer, scores as near as products of another shape allow."""
    assert found.item_ids == expected.item_ids
    assert found.scores == pytest.approx(expected.scores, rel=1e-5, abs=1e-4)
    for name in ("unknown", "reason", "ignored_queries"):
        assert getattr(found, name) == getattr(expected, name)


@pytest.mark.parametrize("kind", MORE)
@settings(max_examples=20)
@given(users=USERS, exclude_seen=st.booleans())
def test_a_batch_is_its_users_one_by_one(recommender, kind, users, exclude_seen):
    one = recommender(kind)
    histories, queries = (list(part) for part in zip(*users, strict=True))
    found = one.recommend_many(histories, queries, k=5, exclude_seen=exclude_seen)
    for (history, typed), answer in zip(users, found, strict=True):
        alike(answer, one.recommend(history, typed, k=5, exclude_seen=exclude_seen))


@settings(max_examples=20)
@given(users=st.lists(HISTORY, min_size=2, max_size=6))
def test_nobody_is_answered_what_was_seen(recommender, users):
    for history, answer in zip(users, recommender().recommend_many(users, k=7), strict=True):
        assert set(answer.item_ids) == set(TOKENS) - set(history)


@settings(max_examples=20)
@given(
    histories=st.lists(HISTORY, min_size=1, max_size=4), gaps=st.lists(st.integers(0, 10**6), min_size=9, max_size=9)
)
def test_times_of_many_users(recommender, histories, gaps):
    one = recommender(HSTU)
    times = [[sum(gaps[: i + 1]) for i in range(len(history))] for history in histories]
    times[0], now = None, [None] + [2 * 10**7] * (len(histories) - 1)
    found = one.recommend_many(histories, k=5, timestamps=times, now=now)
    for history, seconds, moment, answer in zip(histories, times, now, found, strict=True):
        alike(answer, one.recommend(history, k=5, timestamps=seconds, now=moment))


def recbole(name):
    torch.manual_seed(0)
    return Checkpoint(RecBole(name, 8, 4), Vocabulary(TOKENS), np.arange(8), {}, {})


@pytest.mark.parametrize("name", ["GRU4Rec", "RepeatNet"])
def test_recbole_s_models_too(name):
    one = Recommender(recbole(name))
    histories = [["n1", "n2", "n3"], [], ["猫"]]
    for history, answer in zip(histories, one.recommend_many(histories, k=4), strict=True):
        alike(answer, one.recommend(history, k=4))


@pytest.mark.parametrize("kind", [SASRec, SearchSASRec])
@settings(max_examples=20)
@given(history=HISTORY, queries=QUERIES, candidates=st.lists(ITEM, min_size=1, max_size=7), exclude_seen=st.booleans())
def test_candidates_are_the_catalogue_and_nothing_else(recommender, kind, history, queries, candidates, exclude_seen):
    one = recommender(kind)
    found = one.recommend(history, queries, k=7, exclude_seen=exclude_seen, candidates=candidates)
    whole = one.recommend(history, queries, k=7, exclude_seen=exclude_seen)
    expected = [(item, score) for item, score in whole if item in candidates]
    assert found.item_ids == [item for item, _ in expected]
    assert found.scores == pytest.approx([score for _, score in expected], abs=1e-5)


def test_candidates_that_are_unknown(recommender):
    one = recommender()
    with pytest.raises(InputError, match="1 of 2 candidates are unknown to the model: 'x'"):
        one.recommend(["n1"], candidates=["n2", "x"])
    found = one.recommend(["n1", "y"], candidates=["n2", "x"], unknown="drop")
    assert (found.item_ids, found.unknown) == (["n2"], ["y", "x"])
    assert one.recommend(["n1"], candidates=["x"], unknown="drop").item_ids == []
    with pytest.raises(InputError, match="candidates are a list"):
        one.recommend(["n1"], candidates="n2")


def test_a_slip_names_its_user(recommender):
    one = recommender()
    with pytest.raises(InputError, match="user 1: 1 of 2 items of the history are unknown"):
        one.recommend_many([["n1"], ["n1", "x"]])
    with pytest.raises(InputError, match="user 1: timestamps, and now"):
        one.recommend_many([["n1"], ["n1", "n2"]], timestamps=[[1], [2, 1]])
    with pytest.raises(InputError, match="queries for 1 users, but histories of 2"):
        one.recommend_many([["n1"], ["n2"]], [["red"]])
    with pytest.raises(InputError, match='say "raise" or "drop"'):
        one.recommend(["n1"], unknown="ignore")


def test_nobody_asks_nothing(recommender):
    assert recommender().recommend_many([]) == []


def test_more_users_than_are_encoded_at_once(recommender, monkeypatch):
    histories = [TOKENS[: i % 8] for i in range(30)]
    expected = recommender().recommend_many(histories, k=3)
    monkeypatch.setattr(room, "_ROWS", 4)
    monkeypatch.setattr(room, "_VECTORS", 7)
    for found, answer in zip(recommender().recommend_many(histories, k=3), expected, strict=True):
        alike(found, answer)


def test_an_index_finds_the_same_in_a_catalogue_of_one_cell_or_few(recommender, checkpoint_of):
    approximate = Recommender.from_pretrained(checkpoint_of(), approximate=True)
    for history in (["n1", "n2"], [], ["猫"]):
        alike(approximate.recommend(history, k=4), recommender().recommend(history, k=4))
    with pytest.raises(InputError, match="RepeatNet has no item vectors"):
        Recommender(recbole("RepeatNet"), approximate=True)
