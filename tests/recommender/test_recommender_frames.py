"""Frames in, frames of the same kind out."""

from datetime import datetime, timedelta

import pandas as pd
import polars as pl
import pytest

from recsys.errors import InputError
from recsys.models import HSTU, SearchSASRec

USERS = {
    "user_id": ["a", "b", "c"],
    "history": [["n1", "n2"], [], ["n3", "x"]],
    "queries": [["red shoes"], None, []],
}


def test_a_polars_user(recommender):
    one = recommender(SearchSASRec)
    found = one.recommend_frame(pl.DataFrame(USERS), k=3)
    assert isinstance(found, pl.DataFrame)
    assert found.columns == ["user_id", "rank", "item_id", "score", "reason", "unknown"]
    assert found["user_id"].to_list() == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert found["rank"].to_list() == [1, 2, 3] * 3
    answers = one.recommend_many([["n1", "n2"], [], ["n3"]], [["red shoes"], [], []], k=3)
    assert found["item_id"].to_list() == [item for answer in answers for item in answer.item_ids]
    assert found["score"].to_list() == pytest.approx([score for answer in answers for score in answer.scores], abs=1e-5)
    assert found["reason"].to_list() == ["model"] * 3 + ["popularity"] * 3 + ["model"] * 3
    assert found["unknown"].to_list() == [0] * 6 + [1] * 3
    lazily = one.recommend_frame(pl.LazyFrame(USERS), k=3)
    assert lazily.collect().equals(found)


def test_a_pandas_user(recommender):
    one = recommender(SearchSASRec)
    found = one.recommend_frame(pd.DataFrame(USERS), k=3)
    assert isinstance(found, pd.DataFrame)
    assert pl.from_pandas(found).equals(one.recommend_frame(pl.DataFrame(USERS), k=3))


def test_a_log_of_clicks_is_grouped_by_user_and_sorted_by_time(recommender):
    one, day = recommender(HSTU), datetime(2026, 1, 1)
    log = pl.DataFrame(
        {
            "user_id": [7, 3, 7, 7],
            "item_id": ["n2", "n3", "n1", "猫"],
            "timestamp": [day + timedelta(minutes=minutes) for minutes in (50, 20, 10, 50)],
        }
    )
    found = one.recommend_frame(log, k=2)
    assert found["user_id"].to_list() == [7, 7, 3, 3]
    start = int(day.replace(tzinfo=None).timestamp()) // 60 * 60
    expected = one.recommend(["n1", "n2", "猫"], k=2, timestamps=[start + 600, start + 3000, start + 3000])
    assert found["item_id"].to_list()[:2] == expected.item_ids
    assert found["score"].to_list()[:2] == pytest.approx(expected.scores, abs=1e-5)
    assert one.recommend_frame(log.to_pandas(), k=2)["item_id"].to_list() == found["item_id"].to_list()
    assert one.recommend_frame(log.drop("timestamp"), k=1)["score"][0] == pytest.approx(
        one.recommend(["n2", "n1", "猫"], k=1).scores[0], abs=1e-5
    )


def test_integers_stay_integers_where_all_items_are_some(tmp_path):
    import numpy as np
    from recommender_models import network_of

    from recsys.atomic import Vocabulary
    from recsys.checkpoints import Checkpoint
    from recsys.models import SASRec
    from recsys.recommender import Recommender

    users = pl.DataFrame({"history": [[10, 20], [70]]})
    for tokens, kind in (
        ([f"{i}0" for i in range(1, 8)], pl.Int64),
        (["10", "20", "70", "a", "b", "c", "07"], pl.String),
    ):
        one = Recommender(Checkpoint(network_of(SASRec), Vocabulary(tokens), np.arange(8), {}, {}))
        found = one.recommend_frame(users, k=2)
        assert found.schema["item_id"] == kind
        assert found["row"].to_list() == [0, 0, 1, 1]
        assert found["item_id"].cast(pl.String).to_list()[:2] == one.recommend(["10", "20"], k=2).item_ids


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (pl.DataFrame({"histroy": [["n1"]]}), "no column 'history'.* Did you mean 'histroy'"),
        (pl.DataFrame({"history": ["n1"]}), "column 'history' is String; it should be a list of strings or integers"),
        (pl.DataFrame({"history": [[1.5]]}), "column 'history'"),
        (pl.DataFrame({"history": [["n1"]], "queries": ["red"]}), "column 'queries' is String"),
        (pl.DataFrame({"history": [["n1"]], "timestamps": [["now"]]}), "column 'timestamps'"),
        (pl.DataFrame({"history": [["n1"]], "now": ["now"]}), "column 'now' is String"),
        (pl.DataFrame({"history": [["n1"], ["n1", None]]}), "row 1: a missing value in history"),
        (pl.DataFrame({"history": [["n1", "n2"]], "timestamps": [[1]]}), "row 0: 1 timestamps for 2 items"),
        ({"history": [["n1"]]}, "takes a Polars or pandas DataFrame, not dict"),
    ],
)
def test_what_is_no_frame_of_users(recommender, frame, sentence):
    with pytest.raises(InputError, match=sentence):
        recommender().recommend_frame(frame)
