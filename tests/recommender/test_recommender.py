"""Recommendations for anyone: ids in, ids out, and no data set at hand."""

import numpy as np
import pytest
import torch
from recommender_models import MORE, SIZE, TOKENS

from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint
from recsys.errors import InputError
from recsys.models import HSTU, BERT4Rec, SASRec, SearchSASRec, eSASRec
from recsys.models.batch import Batch
from recsys.models.content import Content
from recsys.models.text import gram_matrix
from recsys.ranking import top_k
from recsys.recommender import Recommender


def by_hand(network, history, queries, k, seen, times=None):
    """Encode and rank without the Recommender."""
    zero, nothing = torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    last = max(0, len(history) - 1)
    batch = Batch(
        item=torch.tensor([history or [0]]),
        timestamp=torch.tensor([times[:-1]]) if times else None,
        request_timestamp=torch.tensor([times[1:]]) if times else None,
        next_item=zero,
        point_row=zero,
        point_position=zero + last,
        request=zero,
        target_point=nothing,
        target_item=nothing,
        search_row=torch.zeros(len(queries), dtype=torch.int64),
        search_position=torch.full((len(queries),), last),
        search_type=torch.ones(len(queries), dtype=torch.int64),  # typed by the user
        search_gram=torch.from_numpy(gram_matrix(queries)),
    )
    with torch.no_grad():
        exclude = torch.tensor([0, len(seen)]), torch.tensor(seen, dtype=torch.int64)
        ids, scores = top_k(network.encode(batch), network.item_vectors(), k, exclude)
    return [TOKENS[i - 1] for i in ids[0].tolist()], scores[0].tolist()


@pytest.mark.parametrize("kind", MORE)
def test_it_is_encoding_and_ranking(recommender, kind):
    one = recommender(kind)
    found = one.recommend(["n3", "猫"], k=3)
    items, scores = by_hand(one.network, [3, 4], [], 3, seen=[3, 4])
    assert found.item_ids == items
    assert found.scores == pytest.approx(scores, abs=1e-6)
    assert (found.reason, found.unknown, found.ignored_queries) == ("model", [], False)
    assert list(found) == list(zip(found.item_ids, found.scores, strict=True))


def test_queries_stand_behind_the_whole_history_as_typed_ones(recommender):
    one = recommender(SearchSASRec)
    queries = ["red shoes", "blue"]
    found = one.recommend(["n3", "猫"], queries, k=5)
    items, scores = by_hand(one.network, [3, 4], queries, 5, seen=[3, 4])
    assert found.item_ids == items
    assert found.scores == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize("kind", MORE)
def test_a_long_history_counts_by_its_latest_items_and_excludes_all(recommender, kind):
    one = recommender(kind)
    long = ["n1", "n2", "n3", "猫", "5", "n6"]
    assert one.recommend(long, k=10).item_ids == ["n7"]
    recent, whole = (one.recommend(given, k=7, exclude_seen=False) for given in (long[-4:], long))
    assert recent == whole


def test_better_scores_come_first(recommender):
    scores = recommender().recommend(["n1"], k=7).scores
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 6


def test_seen_items_are_left_out_or_not(recommender):
    one = recommender()
    assert {"n1", "n2"}.isdisjoint(one.recommend(["n1", "n2", "n1"], k=7).item_ids)
    assert sorted(one.recommend(["n1", "n2"], k=7, exclude_seen=False).item_ids) == sorted(TOKENS)


def test_more_than_there_is(recommender):
    assert len(recommender().recommend(["n1"], k=1000).item_ids) == 6
    assert recommender().recommend(TOKENS, k=3).item_ids == []


@pytest.mark.parametrize("k", [0, -1])
def test_fewer_than_one(recommender, k):
    with pytest.raises(InputError, match=f"k is {k}: ask for at least 1 item"):
        recommender().recommend(["n1"], k=k)


def test_an_unknown_item_is_an_error_that_shows_what_is_known(recommender):
    with pytest.raises(InputError, match=r"1 of 2 items .* the first is 'n9'. It knows 7 items, such as n1, n2, n3"):
        recommender().recommend(["n1", "n9"])


def test_an_unknown_item_that_is_dropped_has_no_influence(recommender):
    one = recommender()
    dropped = one.recommend(["n9", "n1", "what"], unknown="drop")
    assert dropped.unknown == ["n9", "what"]
    assert (dropped.item_ids, dropped.scores) == (one.recommend(["n1"]).item_ids, one.recommend(["n1"]).scores)


def test_a_history_of_unknown_items_alone_is_an_error_or_no_history(recommender):
    with pytest.raises(InputError, match="2 of 2 items of the history are unknown"):
        recommender().recommend(["x", "y"])
    found = recommender().recommend(["x", "y"], unknown="drop")
    assert (found.reason, found.unknown) == ("popularity", ["x", "y"])
    assert found.item_ids == recommender().recommend([]).item_ids


def test_padding_is_no_item_that_can_be_asked_for(recommender):
    with pytest.raises(InputError, match=r"\[PAD\]"):
        recommender().recommend(["[PAD]"])


def test_an_empty_history_is_answered_by_popularity(recommender):
    found = recommender().recommend([], k=10)
    assert found.reason == "popularity"
    assert found.item_ids == ["n2", "猫", "5", "n1", "n7", "n6", "n3"]  # of equals the smaller integer first
    assert found.scores == [9.0, 7.0, 7.0, 4.0, 2.0, 1.0, 0.0]


def test_a_query_without_a_history_is_answered_by_the_model(recommender):
    one = recommender(SearchSASRec)
    found = one.recommend([], ["red shoes"], k=7)
    assert found.reason == "model"
    assert found.item_ids == by_hand(one.network, [], ["red shoes"], 7, seen=[])[0]


def test_a_query_without_text_is_no_query(recommender):
    one = recommender(SearchSASRec)
    assert one.recommend([], [" ", ""]).reason == "popularity"
    assert one.recommend(["n1"], ["　"]) == one.recommend(["n1"])


def test_a_query_changes_what_a_search_model_says(recommender):
    one = recommender(SearchSASRec)
    without, red, blue = (one.recommend(["n1", "n2"], queries) for queries in ([], ["red shoes"], ["blue hat"]))
    assert without.scores != red.scores != blue.scores
    assert not red.ignored_queries
    assert one.recommend(["n1", "n2"], ["ＲＥＤ shoes"]) == red


@pytest.mark.parametrize("kind", [SASRec, BERT4Rec])
def test_other_models_say_that_they_do_not_read_queries(recommender, kind):
    one = recommender(kind)
    asked, plain = one.recommend(["n1"], ["red shoes"]), one.recommend(["n1"])
    assert asked.ignored_queries
    assert (asked.item_ids, asked.scores) == (plain.item_ids, plain.scores)
    assert one.recommend([], ["red shoes"]).reason == "popularity"


def test_numbers_are_ids_too(recommender):
    one = recommender()
    assert one.recommend([5]) == one.recommend(["5"])


@pytest.mark.parametrize("arguments", [("n1",), (["n1"], "red shoes")])
def test_one_string_in_place_of_a_list_is_taken_for_the_slip_that_it_is(recommender, arguments):
    with pytest.raises(InputError, match="lists of strings, not one string"):
        recommender(SearchSASRec).recommend(*arguments)


@pytest.mark.parametrize("kind", MORE)
def test_the_same_question_has_the_same_answer(recommender, kind):
    one = recommender(kind)
    assert one.recommend(["n1", "n7"], ["red"]) == one.recommend(["n1", "n7"], ["red"])


def test_what_is_known_of_the_model_comes_along(recommender):
    assert recommender().metrics == {"test/mrr": 0.5}
    assert list(recommender().items.tokens) == TOKENS


def test_no_such_checkpoint(tmp_path):
    with pytest.raises(InputError, match="no such checkpoint folder"):
        Recommender.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize("kind", [HSTU, eSASRec])
def test_times_reach_the_models_that_read_them(recommender, kind):
    one = recommender(kind)
    found = one.recommend(["n3", "猫"], k=5, timestamps=[1000, 80_000.7], now=90_000)
    items, scores = by_hand(one.network, [3, 4], [], 5, seen=[3, 4], times=[1000, 80_000, 90_000])
    assert found.item_ids == items
    assert found.scores == pytest.approx(scores, abs=1e-6)
    assert found.scores != one.recommend(["n3", "猫"], k=5).scores


def test_times_belong_to_their_items_whatever_is_dropped_or_cut_off(recommender):
    one = recommender(HSTU)
    given, times = ["n1", "what", "n2", "n3", "猫", "5"], [0, 1, 500, 600, 60_000, 60_001]
    found = one.recommend(given, unknown="drop", exclude_seen=False, timestamps=times)
    items, scores = by_hand(one.network, [2, 3, 4, 5], [], 7, seen=[], times=[500, 600, 60_000, 60_001, 60_001])
    assert (found.item_ids, found.scores) == (items, pytest.approx(scores, abs=1e-6))


def test_without_times_everything_happened_in_one_second(recommender):
    one = recommender(HSTU)
    assert one.recommend(["n1", "n2"]) == one.recommend(["n1", "n2"], timestamps=[77, 77], now=77)
    assert one.recommend(["n1", "n2"]).reason == "model"
    assert one.recommend([], timestamps=[]).reason == "popularity"


def test_other_models_take_no_notice_of_times(recommender):
    one = recommender(SASRec)
    assert one.recommend(["n1", "n2"], timestamps=[1, 2], now=9) == one.recommend(["n1", "n2"])


@pytest.mark.parametrize(
    ("times", "now", "message"),
    [
        ([1], None, "1 timestamps for 2 items"),
        ([2, 1], None, "ascending order"),
        ([1, 2], 1, "ascending order"),
        ([1, float("nan")], None, "ascending order"),
        (None, 5, "now says something only beside timestamps"),
    ],
)
def test_times_that_are_none(recommender, times, now, message):
    with pytest.raises(InputError, match=message):
        recommender(HSTU).recommend(["n1", "n2"], timestamps=times, now=now)


@pytest.fixture
def told():
    """A SearchSASRec that knows two of its items by their titles alone."""
    torch.manual_seed(1)
    network = SearchSASRec(**SIZE, inner_dim=8, buckets=97, content=True).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    gram = gram_matrix(["", "red", "red shoe", "", "blue", "cat", "", "hat"]).astype(np.uint32)
    content = Content(gram, np.zeros((8, 0), np.uint32), np.zeros((8, 0), np.float32))
    popularity = np.array([0, 4, 9, 0, 7, 0, 1, 2])
    network.described.describe(content, popularity > 0)
    return Recommender(Checkpoint(network, Vocabulary(TOKENS), popularity, {}, {}))


@pytest.mark.parametrize("queries", [[], ["red shoe"], ["red", " ", "猫 food", "red"]])
def test_the_parts_of_a_score_add_up_to_it(told, queries):
    found = told.recommend(["n1", "n2"], queries, k=5, explain=True)
    assert len(found.explanations) == 5
    for (item, score), parts in zip(found, found.explanations, strict=True):
        assert parts.history + parts.searches == pytest.approx(score, abs=1e-5)
        assert parts.id + parts.content == pytest.approx(score, abs=1e-5)
        assert (parts.id == pytest.approx(0, abs=1e-6)) == (item in ("n3", "5"))  # never clicked: no id of their own
    without = dict(told.recommend(["n1", "n2"], k=7, exclude_seen=False))
    assert found.explanations[0].history == pytest.approx(without[found.item_ids[0]], abs=1e-5)


def test_a_query_adds_what_is_missing_without_it(told):
    one = told.recommend(["n1"], ["red", "blue"], k=7, explain=True)
    score, alone = dict(one), dict(told.recommend(["n1"], ["blue"], k=7))
    for item, parts in zip(one.item_ids, one.explanations, strict=True):
        assert [query for query, _ in parts.queries] == ["red", "blue"]
        assert parts.queries[0][1] == pytest.approx(score[item] - alone[item], abs=1e-5)
    (only,) = told.recommend(["n1"], ["red"], k=1, explain=True).explanations
    assert only.queries == [("red", pytest.approx(only.searches))]


@pytest.mark.parametrize("kind", MORE)
def test_every_model_tells_what_its_scores_owe_to_history_and_ids(recommender, kind):
    found = recommender(kind).recommend(["n3", "猫"], ["red"], k=3, explain=True)
    for score, parts in zip(found.scores, found.explanations, strict=True):
        assert parts.history + parts.searches == pytest.approx(score, abs=1e-5)
        assert parts.id == pytest.approx(score, abs=1e-5)
        assert parts.content is None
        if not kind.uses_searches:
            assert (parts.searches, parts.queries) == (0, [])
    assert found.ignored_queries == (not kind.uses_searches)


def test_popularity_has_no_parts(told):
    assert told.recommend([], k=2, explain=True).explanations == []
    assert told.recommend(["n1"], k=2).explanations == []
