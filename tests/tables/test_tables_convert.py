"""Tables → atomic files, by hand: what is written, in which split, and what nobody may know."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys import atomic, tables
from recsys.data import SPLITS, load
from recsys.data.histories import histories
from recsys.errors import InputError

from .conftest import CLICKS, lines

DAY = 86_400
SEARCHES = pl.DataFrame(
    [
        ("ann", 90_150, "red  shoes", "0200"),
        ("ann", 90_150, "red  shoes", "0031"),
        ("ann", 180_000, "laces", None),
        ("bob", 180_099, 'an "umbrella"', ""),
        ("eve", 180_000, "laces", None),
    ],
    schema=["user_id", "timestamp", "query", "item_id"],
    orient="row",
)


def test_clicks_by_user_and_time_since_the_first_midnight(shop) -> None:
    folder = shop()
    assert lines(folder, "inter") == [
        "ann\t0017\t3600\ttrain",
        "ann\t0200\t3800\tvalid",
        "ann\t0031\t93600\ttest",
        "bob\t0200\t3700\ttrain",
        "bob\t0017\t93700\ttest",
    ]
    meta = json.loads((folder / "shop.meta.json").read_text("utf-8"))
    assert meta["time_origin"] == DAY
    assert meta["counts"]["per_split"] == {"train": 2, "valid": 1, "test": 2}
    assert not (folder / "shop.request").exists()


def test_the_loader_splits_alike(shop) -> None:
    data = load(shop())
    assert [SPLITS[i] for i in data.events.split] == ["train", "valid", "test", "train", "test"]


def test_clicks_of_one_moment_keep_their_order(shop) -> None:
    rows = [("u", item, 5) for item in "zamb"]
    folder = shop(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"))
    assert [line.split("\t")[1] for line in lines(folder, "inter")] == list("zamb")


def test_milliseconds_order_what_one_second_holds(shop) -> None:
    rows = [("u", "late", 5_900), ("u", "early", 5_100), ("u", "mid", 5_500)]
    clicks = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    folder = shop(clicks, time_unit="ms")
    assert [line.split("\t")[1:3] for line in lines(folder, "inter")] == [["early", "5"], ["mid", "5"], ["late", "5"]]


def test_a_search_is_of_the_split_that_may_first_know_it(shop) -> None:
    folder = shop(searches=SEARCHES)
    assert lines(folder, "search") == [
        "0\tann\t3750\tq3\t1\t\ttrain",  # what ann clicked she clicks in later splits
        "1\tann\t93600\tq2\t1\t\ttest",  # at the very second of the test: no request sees it
        "2\tbob\t93699\tq1\t1\t\ttrain",  # bob has no validation
    ]
    assert lines(folder, "query") == ["q1\tan 'umbrella'", "q2\tlaces", "q3\tred shoes"]
    counts = json.loads((folder / "shop.meta.json").read_text("utf-8"))["counts"]
    assert counts["rows_of_users_without_clicks"] == 1
    assert load(folder).searches.clicked is not None


def test_a_query_is_of_the_kind_that_one_asked_anew_is_taken_for(shop) -> None:
    searches = load(shop(searches=SEARCHES)).searches
    assert set(searches.type) == {atomic.TYPED}


def test_a_clicked_result_is_told_unless_its_user_clicks_it_in_a_later_split(shop) -> None:
    rows = [("ann", 90_001, "x", item) for item in ("0017", "0200", "0031", "9999")] + [("bob", 180_100, "x", "0017")]
    searches = pl.DataFrame(rows, schema=["user_id", "timestamp", "query", "item_id"], orient="row")
    folder = shop(searches=searches)
    assert [line.split("\t")[5:] for line in lines(folder, "search")] == [["0017 9999", "train"], ["0017", "test"]]


def test_searches_without_the_column_of_clicked_results(shop) -> None:
    folder = shop(searches=SEARCHES.drop("item_id"))
    assert [line.split("\t")[5] for line in lines(folder, "search")] == ["", "", ""]


def test_a_temporal_split_cuts_all_users_at_two_moments(shop) -> None:
    rows = [("u", "a", 0), ("v", "a", 10), ("u", "b", 20), ("v", "b", 30), ("u", "c", 40), ("u", "d", 40)]
    clicks = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    searches = pl.DataFrame(
        [("v", 29, "x"), ("v", 30, "y"), ("u", 41, "z")], schema=["user_id", "timestamp", "query"], orient="row"
    )
    folder = shop(clicks, searches=searches, split="temporal", test_fraction=0.2, valid_fraction=0.25)
    assert lines(folder, "request") == [
        "0\tu\t0\ttrain\ta",
        "1\tu\t20\ttrain\tb",
        "2\tu\t40\ttest\tc d",  # of one second: neither is known to the other
        "3\tv\t10\ttrain\ta",
        "4\tv\t30\tvalid\tb",
    ]
    assert [line.rsplit("\t", 1)[1] for line in lines(folder, "search")] == ["test", "train", "valid"]
    data = load(folder, ("train", "valid", "test"))
    assert data.requests.candidate is None
    seen = histories(data, "test")
    (test,) = np.flatnonzero(seen.wanted)
    assert data.items.decode(seen.item[seen.user[test]][: seen.visible[test]]) == ["a", "b"]
    assert sorted(data.items.decode(seen.target[test])) == ["c", "d"]


events = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("abcde"), st.integers(0, 30)), min_size=1, max_size=40
)


@settings(max_examples=50, deadline=None)
@given(events, events, st.sampled_from(["leave_one_out", "temporal"]))
def test_no_request_knows_what_comes_after_it(tmp_path_factory, clicks, searches, split) -> None:
    frame = pl.DataFrame(clicks, schema=["user_id", "item_id", "timestamp"], orient="row")
    asked = pl.DataFrame(searches, schema=["user_id", "query", "timestamp"], orient="row")
    folder = tmp_path_factory.mktemp("log") / "log"
    try:
        tables.convert(frame, folder, asked, options=tables.Options(split=split))
    except InputError as error:
        assert "leaves no click for" in str(error) or "all clicks lie in the test" in str(error)  # noqa: PT017
        return
    data = load(folder, ("train", "valid", "test"))
    cut = min((t for t, s in zip(data.events.timestamp, data.events.split, strict=True) if s > 0), default=31)
    for stage in SPLITS:
        seen = histories(data, stage)
        searched = seen.searches_of(seen.user, data.requests.timestamp[seen.request])
        for i in np.flatnonzero(seen.wanted):
            user, when = seen.user[i], data.requests.timestamp[seen.request[i]]
            offset = seen.item.offsets[user]
            known = seen.timestamp[offset : offset + seen.visible[i]]
            assert (known <= when).all() if split == "leave_one_out" else (known < when).all()
            known = seen.search_timestamp[searched[0][i] : searched[1][i]]
            assert (known < when).all()
    if split == "temporal":
        train = histories(data, "train")
        assert (train.timestamp < cut).all()
        assert (train.search_timestamp < cut).all()


def test_the_same_tables_in_another_order_make_the_same_data_set(shop) -> None:
    one, other = shop(searches=SEARCHES), shop(CLICKS.reverse(), searches=SEARCHES, name="other")
    assert lines(one, "inter") == lines(other, "inter")


def test_an_earlier_conversion_is_replaced_and_nothing_else(shop, tmp_path: Path) -> None:
    folder = shop(searches=SEARCHES)
    shop()
    assert not (folder / "shop.search").exists()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    with pytest.raises(InputError, match="holds something other than a conversion"):
        shop(name="photos")
    assert [file.name for file in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_the_output_is_not_where_the_tables_lie(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    CLICKS.write_csv(tmp_path / "shop" / "clicks.csv")
    with pytest.raises(InputError, match="would replace the source"):
        tables.convert(tmp_path / "shop" / "clicks.csv", tmp_path / "shop")


@pytest.mark.parametrize(
    ("clicks", "options", "said"),
    [
        (CLICKS.head(2), {}, "--split leave_one_out leaves no click for 'valid': each of them takes a user with three"),
        (CLICKS.head(0), {}, "the clicks: not a single click."),
        (CLICKS.head(1), {"split": "temporal"}, "--split temporal: all clicks lie in the test"),
        (CLICKS, {"split": "temporl"}, "split is 'temporl'. Did you mean 'temporal'?"),
        (CLICKS, {"test_fraction": 1.5}, "test_fraction is 1.5; it should lie between 0 and 1"),
    ],
)
def test_what_cannot_be_split_is_said(shop, tmp_path: Path, clicks, options, said: str) -> None:
    with pytest.raises(InputError) as error:
        shop(clicks, **options)
    assert str(error.value).startswith(said)
    assert list(tmp_path.iterdir()) == []
