import polars as pl
import pytest
from qilin_tiny import ORIGIN, rec, search, shown, write_config

from recsys.atomic.problems import Problems
from recsys.errors import InputError
from recsys.qilin.source import read
from recsys.qilin.timeline import log, observe, unified

DAY = 86_400


def logged(tmp_path, problems=None, clocks="reanchor", **configs):
    rows = [
        unified(read(config, write_config(tmp_path, config, list(given)), Problems()), config)
        for config, given in configs.items()
    ]
    return log(*observe(pl.concat(rows), problems or Problems()), clocks)


def test_three_time_conventions_become_one(tmp_path):
    # 2024-11-27 00:00:35 in Beijing, in each channel's way of writing it
    instant = shown(1, 0, click=1) | {
        "request_timestamp": 1_732_636_835_999,
        "search_timestamp": 1_732_636_835 + 8 * 3600,
    }
    seen = logged(
        tmp_path,
        recommendation_train=[rec(0, 0, [instant])],
        search_train=[search(0, 0, "q", [instant])],
        dqa=[search(1, 0, "q", [instant])],
    )
    assert seen.requests["timestamp"].to_list() == seen.exposures["timestamp"].to_list() == [35, 35, 35]
    assert seen.requests["source"].to_list() == ["rec", "search", "dqa"]


def test_a_window_becomes_oldest_first(tmp_path):
    requests = logged(tmp_path, recommendation_train=[rec(7, 0, [shown(1, 5)], (9, 8, 8, 0))]).requests
    assert requests["window"].to_list() == [[0, 8, 8, 9]]
    assert requests["index"].to_list() == [7]


def test_a_request_starts_at_its_first_exposure(tmp_path):
    exposures = [shown(1, 50), shown(2, 40), shown(3, 9000)]
    assert logged(tmp_path, dqa=[search(7, 0, "q", exposures)]).requests["timestamp"].to_list() == [40]


def test_repeated_exposures_merge(tmp_path):
    exposures = [
        shown(1, 100, position=4),
        shown(1, 300, position=3, click=1),
        shown(1, 200, position=5, click=1),
        shown(2, 700, position=8),
        shown(2, 600, position=9),
    ]
    seen = logged(tmp_path, recommendation_train=[rec(0, 0, exposures), rec(1, 0, [shown(1, 800)])])
    columns = ["request", "note_idx", "clicked", "timestamp", "position"]
    assert seen.exposures.select(columns).sort("request", "note_idx").rows() == [
        (0, 1, True, 200, 3),
        (0, 2, False, 600, 8),
        (1, 1, False, 800, 1),
    ]
    assert seen.counts["exposures_merged"] == 3
    assert seen.requests["timestamp"].to_list() == [100, 800]


@pytest.mark.parametrize(
    ("second", "sound"), [(-1, False), (0, True), (89_999, True), (90_000, False), (-86_400, False)]
)
def test_a_clock_that_is_off_drops_the_whole_request_if_none_is_to_be_moved(tmp_path, second, sound):
    rows = [search(3, 0, "q", [shown(1, 500), shown(2, second, click=1)]), search(4, 0, "q", [shown(1, 500)])]
    seen = logged(tmp_path, clocks="drop", search_train=rows)
    assert seen.requests["index"].to_list() == ([3, 4] if sound else [4])
    assert sorted(set(seen.exposures["request"])) == ([0, 1] if sound else [1])
    assert seen.counts["dropped_skewed"] == ({} if sound else {"search_train": 1})


def test_a_device_that_is_days_behind_is_moved_to_the_same_time_of_the_day(tmp_path):
    behind = [shown(1, 30_000 - 3 * DAY, click=1), shown(2, 30_090 - 3 * DAY)]
    seen = logged(tmp_path, recommendation_train=[rec(0, 0, behind), rec(1, 0, [shown(3, 31_000)], (1,))])
    assert seen.requests["timestamp"].to_list() == [30_000, 31_000]
    assert sorted(seen.exposures["timestamp"]) == [30_000, 30_090, 31_000]
    assert seen.counts["reanchored"] == {"recommendation_train": 1}
    assert seen.counts["dropped_skewed"] == {}


def test_a_device_that_is_days_ahead_is_moved_too(tmp_path):
    assert logged(tmp_path, dqa=[search(0, 0, "q", [shown(1, 100 + 5 * DAY)])]).requests["timestamp"].to_list() == [100]


def test_a_request_that_mixes_dates_fits_into_no_day(tmp_path):
    mixed = rec(0, 0, [shown(1, 30_000 - 6 * DAY), shown(2, 40_000 - DAY, click=1)])
    seen = logged(tmp_path, recommendation_train=[mixed])
    assert seen.requests.is_empty()
    assert seen.counts["dropped_skewed"] == {"recommendation_train": 1}


def test_a_moved_request_whose_window_was_clicked_later_is_dropped(tmp_path):
    # by the same user's sound clock, 7 and 8 were clicked at 50,000; a request that knew them is not of 30,000
    sound = rec(1, 0, [shown(7, 50_000, click=1), shown(8, 50_000, click=1)])
    moved = rec(0, 0, [shown(1, 30_000 - 3 * DAY)], (8, 7, 99))
    later = rec(2, 0, [shown(2, 60_000 - 3 * DAY)], (8, 7, 99))
    stranger = rec(3, 1, [shown(1, 30_000 - 3 * DAY)], (8, 7))
    seen = logged(tmp_path, recommendation_train=[sound, moved, later, stranger])
    assert seen.requests["index"].to_list() == [1, 2, 3]
    assert seen.counts["dropped_skewed"] == {"recommendation_train": 1}
    assert seen.counts["reanchored"] == {"recommendation_train": 2}


def test_a_request_without_any_time_is_named(tmp_path):
    timeless = shown(1, 500) | {"search_timestamp": None}
    rows = [search(0, 0, "q", [shown(1, 5), timeless | {"note_idx": 2}]), search(1, 0, "q", [timeless])]
    with pytest.raises(InputError, match=r"search_test.*row 1 .*none of its exposures has a time"):
        logged(tmp_path, search_test=rows)
    problems = Problems(skip=True)
    seen = logged(tmp_path, problems, search_test=rows)
    assert problems.counts == {"no time": 1}
    assert seen.exposures["timestamp"].to_list() == [5, 5]  # an exposure without a time has its request's


@pytest.mark.parametrize("clock", [1_732_640_000, -5, 0])
def test_a_time_in_another_unit_is_named(tmp_path, clock):
    absurd = shown(1, 0) | {"request_timestamp": clock}  # seconds where milliseconds belong, or nothing sensible
    with pytest.raises(InputError, match=r"recommendation_train.*row 1 .*more than a year"):
        logged(tmp_path, recommendation_train=[rec(0, 0, [shown(1, 5)]), rec(1, 0, [absurd])])


def test_missing_labels_are_no_clicks(tmp_path):
    unknown = [
        shown(1, 5) | {"click": None, "position": None},
        shown(2, 5) | {"click": float("nan")},
        shown(3, 5, click=0),
    ]
    seen = logged(tmp_path, search_train=[search(0, 0, "q", unknown)]).exposures.sort("note_idx")
    assert seen["clicked"].to_list() == [False] * 3
    assert seen["position"].to_list() == [0, 1, 1]


def test_origin_is_the_start_of_the_day_in_beijing():
    from datetime import datetime, timedelta, timezone

    assert datetime(2024, 11, 27, tzinfo=timezone(timedelta(hours=8))).timestamp() == ORIGIN
