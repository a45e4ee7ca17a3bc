"""Batches of questions come to what the Recommender says to each; items are found by id and title."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_toy import TOKENS

from recsys.atomic import Vocabulary
from recsys.errors import InputError
from recsys.recommender import Recommender
from recsys.serving.catalogue import Catalogue
from recsys.serving.schema import Answer, Question
from recsys.serving.service import Service


@pytest.fixture(scope="module")
def service(checkpoint: Path, titles: Path) -> Service:
    return Service.load(str(checkpoint), str(titles))


@pytest.fixture(scope="module")
def recommender(checkpoint: Path) -> Recommender:
    return Recommender.from_pretrained(checkpoint)


ASKED = st.builds(
    Question,
    history=st.lists(st.sampled_from([*TOKENS, "strange"]), max_size=12),
    queries=st.lists(st.text("ab é猫", max_size=4), max_size=3),
    k=st.integers(1, 50),
    exclude_seen=st.booleans(),
    explain=st.booleans(),
    candidates=st.none() | st.lists(st.sampled_from(TOKENS), max_size=5),
)


@settings(max_examples=30)
@given(st.lists(ASKED, min_size=1, max_size=6))
def test_in_company_as_alone(service: Service, recommender: Recommender, asked: list[Question]) -> None:
    for question, answer in zip(asked, service.answer(asked), strict=True):
        alone = recommender.recommend(unknown="drop", **question.model_dump(exclude={"unknown"}))
        assert isinstance(answer, Answer)
        assert [item.item_id for item in answer.items] == alone.item_ids
        assert [item.score for item in answer.items] == pytest.approx(alone.scores, abs=1e-5)
        assert (answer.unknown, answer.reason) == (alone.unknown, alone.reason)
        assert [bool(item.explanation) for item in answer.items] == [bool(alone.explanations)] * len(answer.items)


def test_an_explanation_adds_up(service: Service) -> None:
    (answer,) = service.answer([Question(history=["n1"], queries=["ab", "猫"], k=3, explain=True)])
    assert isinstance(answer, Answer)
    for item in answer.items:
        assert item.explanation is not None
        assert item.explanation.history + item.explanation.searches == pytest.approx(item.score, abs=1e-5)
        assert [each.query for each in item.explanation.queries] == ["ab", "猫"]


def test_what_is_wrong_with_one_spoils_no_other(service: Service) -> None:
    good, late = Question(history=["n1"]), Question(history=["n1", "n2"], timestamps=[2, 1])
    strange = Question(history=["n1", "x"], unknown="raise")
    first, second, third, fourth = service.answer([good, late, strange, good])
    assert first == fourth
    assert isinstance(first, Answer)
    assert isinstance(second, InputError)
    assert str(second).startswith("timestamps")
    assert isinstance(third, InputError)
    assert "1 of 2 items of the history are unknown to the model, the first is 'x'" in str(third)


@pytest.fixture
def catalogue() -> Catalogue:
    titles = pl.DataFrame({"item_id": ["b", "a", "elsewhere"], "title": ["Toy Story", "The Story of O", "Story"]})
    return Catalogue(Vocabulary(["a", "b", "b2"]), np.array([0, 1, 5, 3]), titles)


def test_items_are_found_by_their_titles_in_either_case_the_popular_first(catalogue: Catalogue) -> None:
    found = catalogue.found("sTory", limit=10)
    assert [(item.item_id, item.title, item.popularity) for item in found.items] == [
        ("b", "Toy Story", 5),
        ("a", "The Story of O", 1),
    ]
    assert [item.item_id for item in catalogue.found("b", 10).items] == ["b", "b2"]
    assert catalogue.found(".*", 10).items == []
    some = catalogue.found("", limit=1)
    assert ([item.item_id for item in some.items], some.total) == (["b"], 3)


def test_items_are_named_in_the_order_asked_and_only_those_that_are_known(catalogue: Catalogue) -> None:
    found = catalogue.named(["b2", "elsewhere", "a", "b2"])
    assert [(item.item_id, item.title) for item in found.items] == [("b2", None), ("a", "The Story of O")]
    assert found.total == 2
    assert catalogue.named([]).items == []


def test_without_titles_there_are_none() -> None:
    bare = Catalogue(Vocabulary(["a"]), np.array([0, 1]))
    assert not bare.titled
    assert bare.title("a") is None
    assert bare.found("a", 1).items[0].title is None
