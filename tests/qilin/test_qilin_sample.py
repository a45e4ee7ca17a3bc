"""The converter on real rows; every expected number was read off the parquet files and worked out by hand."""

import numpy as np
import polars as pl
import pytest

from recsys.atomic import read
from recsys.qilin import convert
from recsys.qilin.items import numbers


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    return tmp_path_factory.mktemp("sample") / "sample"


@pytest.fixture
def meta(sample, converted):
    return convert(sample, converted)


@pytest.fixture
def table(meta, converted):
    """Rows of one atomic file, with the notes' own numbers where items stand: `.item` has but five of them."""
    note = np.argsort(numbers(meta["item_numbers"], 0))

    def rows(kind):
        frame = read(converted / f"sample.{kind}")
        for name in {"item_id", "history", "exposed", "clicked"} & set(frame.columns):
            lists = isinstance(frame[name].dtype, pl.List)
            items = [each if lists else [each] for each in frame[name]]
            named = [[str(note[int(item)]) for item in each] for each in items]
            frame = frame.with_columns(pl.Series(name, named if lists else [each[0] for each in named]))
        return frame

    return rows


def test_a_test_request(table):
    # user 15271, request 89730: eleven notes, five of them clicked, from 1732706088539 ms to 1732712644430 ms
    (request,) = table("request").filter(request_id="r89730").rows(named=True)
    assert (request["user_id"], request["timestamp"], request["split"]) == (
        "15271",
        1_732_706_088 - 1_732_636_800,
        "test",
    )
    assert request["history"][:2] == ["1458878", "1310795"]  # delivered last
    assert request["history"][-2:] == ["1057318", "1107470"]  # delivered first
    assert len(request["history"]) == 18
    assert dict(zip(request["exposed"], request["position"], strict=True)) == {
        "409328": 1,
        "1328343": 2,
        "1191080": 3,
        "423811": 4,
        "906188": 5,
        "1525295": 6,
        "1611782": 7,
        "741714": 8,
        "978216": 9,
        "1207667": 10,
        "1248265": 11,
    }
    assert set(request["clicked"]) == {"1328343", "1191080", "1525295", "1611782", "978216"}


def test_that_users_events(table):
    events = table("inter").filter(user_id="15271")
    assert events.select("item_id", "timestamp", "request_id", "source", "split").tail(6).rows() == [
        ("1107470", 69_287, "w", "window", "test"),
        ("1328343", 69_288, "r89730", "rec", "test"),
        ("1191080", 69_288, "r89730", "rec", "test"),
        ("1525295", 69_303, "r89730", "rec", "test"),
        ("1611782", 69_303, "r89730", "rec", "test"),
        ("978216", 69_321, "r89730", "rec", "test"),
    ]
    assert events.row(0)[:3] == ("15271", "1458878", 69_288 - 18)


def test_a_search_eight_hours_earlier_than_its_digits(table):
    # user 9721, search 52229: 1732746048.0, four notes, the first clicked
    (search,) = table("search").filter(search_id="s52229").rows(named=True)
    assert search["timestamp"] == 1_732_746_048 - 28_800 - 1_732_636_800 == 80_448
    assert (search["clicked"], search["query_from_type"], search["split"]) == (["1336210"], "1", "test")
    words = dict(table("query").iter_rows())
    assert words[search["query_id"]] == list("每天通电断电冰箱")


def test_a_question_without_a_click(table):
    (question,) = table("search").filter(search_id="s949").rows(named=True)
    assert (question["user_id"], question["timestamp"], question["clicked"]) == ("6508", 3180, [])


def test_a_page_shown_again(table):
    # request 72039 lists 14 exposures of 10 notes; 1925555 (position 6) and 1510493 (position 9) were clicked at once
    (request,) = table("request").filter(request_id="r72039").rows(named=True)
    assert len(request["exposed"]) == len(set(request["exposed"])) == 10
    clicks = table("inter").filter(request_id="r72039")
    assert clicks.select("item_id", "timestamp").rows() == [("1925555", 598), ("1510493", 598)]


def test_a_device_that_is_days_behind(table, meta):
    # User 6948's searches are dated 20 to 25 November. The six of the 25th agree with each other's windows and have a
    # time of day; one mixes two dates, and the one of the 24th knows 1317081, which was clicked on the 25th.
    assert meta["counts"]["reanchored"] == {"search_train": 6}
    assert meta["counts"]["dropped_skewed"] == {"search_train": 2}
    searches = table("search").filter(user_id="6948")
    assert searches["search_id"].to_list() == ["s39120", "s38372", "s15106", "s27228", "s26235", "s20997"]
    assert searches["timestamp"].to_list() == [73_374, 73_677, 73_915, 73_952, 74_490, 74_685]  # 20:22:54 to 20:44:45
    clicks = table("inter").filter(user_id="6948").filter(pl.col("request_id").is_in(["s15106", "s27228"]))
    # the windows that follow hold these clicks in reverse: 1131213 927426 1383331 1211032, then 1254140 1466835
    assert clicks["item_id"].to_list() == ["1211032", "1383331", "927426", "1131213", "1466835", "1254140"]


def test_counts(meta):
    counts = meta["counts"]
    assert counts["exposures_merged"] == 8  # four in request 72039, four in 71609
    assert counts["requests"] == {"train": 4, "valid": 1, "test": 5}
    assert meta["split"]["valid_start"] == 4886  # request 57064, the latest of five
    assert counts["events"]["dqa"] == 5 + 1 + 1 + 0 + 1


def test_texts(table):
    items = table("item")
    (note,) = items.filter(note_idx="4").rows(named=True)
    assert note["title"] == list("不敢想象生日收到这个我能有多开朗🥹")
    assert (note["taxonomy1"], note["taxonomy2"]) == ("c00000000000000000000558", "c00000000000000000000304")
    assert (note["taxonomy3"], note["type"]) == ("", "1")
    assert table("user").filter(user_id="2")["location"].to_list() == ["Hong_Kong_Tsuen_Wan"]
