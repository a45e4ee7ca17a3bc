import polars as pl
import pytest
from qilin_tiny import ORIGIN, rec, search, shown, write_config

from recsys.qilin.problems import Problems
from recsys.qilin.source import read
from recsys.qilin.timeline import log, rec_seconds, search_seconds


def logged(tmp_path, config, *rows):
    return log(read(config, write_config(tmp_path, config, list(rows)), Problems()), config)


def test_the_clocks():
    # 2024-11-27 00:00:35 in Beijing, in each channel's way of writing it
    instants = pl.DataFrame({"rec": [1_732_636_835_999], "search": [1_732_636_835 + 8 * 3600]})
    assert instants.select(rec_seconds(pl.col("rec")), search_seconds(pl.col("search"))).row(0) == (35, 35)


def test_a_window_becomes_oldest_first(tmp_path):
    requests = logged(tmp_path, "recommendation_train", rec(7, 0, [shown(1, 5)], (9, 8, 8, 0))).requests
    assert requests["window"].to_list() == [[0, 8, 8, 9]]
    assert requests["request_id"].to_list() == ["r7"]


def test_a_request_starts_at_its_first_exposure(tmp_path):
    requests = logged(tmp_path, "dqa", search(7, 0, "q", [shown(1, 50), shown(2, 40), shown(3, 9000)])).requests
    assert requests.select("request_id", "timestamp").row(0) == ("s7", 40)


def test_repeated_exposures_merge(tmp_path):
    seen = logged(
        tmp_path,
        "recommendation_train",
        rec(
            0,
            0,
            [
                shown(1, 100, position=4),
                shown(1, 300, position=3, click=1),
                shown(1, 200, position=5, click=1),
                shown(2, 700, position=8),
                shown(2, 600, position=9),
            ],
        ),
        rec(1, 0, [shown(1, 800)]),
    )
    assert seen.exposures.sort("request_id", "note_idx").rows(named=True) == [
        {"request_id": "r0", "note_idx": 1, "clicked": True, "timestamp": 200, "position": 3},
        {"request_id": "r0", "note_idx": 2, "clicked": False, "timestamp": 600, "position": 8},
        {"request_id": "r1", "note_idx": 1, "clicked": False, "timestamp": 800, "position": 1},
    ]
    assert seen.merged == 3
    assert seen.requests.sort("request_id")["timestamp"].to_list() == [100, 800]


@pytest.mark.parametrize(
    ("second", "kept"), [(-1, False), (0, True), (89_999, True), (90_000, False), (-86_400, False)]
)
def test_a_clock_that_is_off_drops_the_whole_request(tmp_path, second, kept):
    rows = [search(3, 0, "q", [shown(1, 500), shown(2, second, click=1)]), search(4, 0, "q", [shown(1, 500)])]
    seen = logged(tmp_path, "search_train", *rows)
    assert ("s3" in seen.requests["request_id"]) == kept
    assert ("s3" in seen.exposures["request_id"]) == kept
    assert seen.dropped == {"search_train": {"skewed": 1 - kept, "empty": 0}}


def test_no_time(tmp_path):
    timeless = shown(1, 500) | {"search_timestamp": None}
    seen = logged(tmp_path, "search_test", search(1, 0, "q", [timeless]))
    assert seen.requests.is_empty()
    assert seen.dropped == {"search_test": {"skewed": 1, "empty": 0}}


def test_missing_labels_are_no_clicks(tmp_path):
    unknown = [
        shown(1, 5) | {"click": None, "position": None},
        shown(2, 5) | {"click": float("nan")},
        shown(3, 5, click=-1),
    ]
    seen = logged(tmp_path, "search_train", search(0, 0, "q", unknown)).exposures.sort("note_idx")
    assert seen["clicked"].to_list() == [False] * 3
    assert seen["position"].to_list() == [0, 1, 1]


def test_origin_is_the_start_of_the_day_in_beijing():
    from datetime import datetime, timedelta, timezone

    assert datetime(2024, 11, 27, tzinfo=timezone(timedelta(hours=8))).timestamp() == ORIGIN
