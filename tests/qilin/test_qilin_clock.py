import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.qilin.clock import MIN_PAIRS, calibrate, evidence
from recsys.qilin.timeline import DAY, SEARCH_OFFSET

REQUESTS = {"user_idx": pl.Int64, "channel": pl.String, "timestamp": pl.Int64, "window": pl.List(pl.Int64)}
CLICKS = {"user_idx": pl.Int64, "note_idx": pl.Int64, "channel": pl.String, "timestamp": pl.Int64}


def found(requests: list[tuple], clicks: list[tuple]) -> list[tuple[int, int]]:
    return evidence(pl.DataFrame(requests, REQUESTS, orient="row"), pl.DataFrame(clicks, CLICKS, orient="row")).rows()


def intervals(*bounds: tuple[int, int]) -> pl.DataFrame:
    return pl.DataFrame(bounds, {"low": pl.Int64, "high": pl.Int64}, orient="row")


# Every search below happened at the time that is written as the second term.


def test_a_click_in_recommendation_between_two_searches():
    requests = [(0, "search", 28_800 + 900, [1, 2]), (0, "search", 28_800 + 1100, [7, 1])]
    assert found(requests, [(0, 7, "rec", 1000)]) == [(28_800 - 100, 28_800 + 100)]


def test_a_click_in_search_between_two_recommendations():
    requests = [(0, "rec", 1100, []), (0, "rec", 1500, [8])]
    assert found(requests, [(0, 8, "search", 28_800 + 1200)]) == [(28_800 - 300, 28_800 + 100)]


def test_a_question_is_on_the_clock_of_search():
    requests = [(0, "search", 28_800 + 900, [1]), (0, "dqa", 28_800 + 1100, [7])]
    assert found(requests, [(0, 7, "rec", 1000)]) == [(28_800 - 100, 28_800 + 100)]
    requests = [(0, "rec", 1100, []), (0, "rec", 1500, [8])]
    assert found(requests, [(0, 8, "dqa", 28_800 + 1200)]) == [(28_800 - 300, 28_800 + 100)]


def test_only_the_first_window_that_takes_a_note_up_counts():
    windows = [(100, [1]), (200, [7, 1]), (300, [1]), (400, [7])]
    assert found([(0, "search", 28_800 + t, window) for t, window in windows], [(0, 7, "rec", 150)]) == [
        (28_800 - 50, 28_800 + 50)
    ]


@pytest.mark.parametrize(
    ("requests", "clicks"),
    [
        ([(100, [7]), (200, [7])], [(0, 7, "rec", 150)]),  # there from the first: no lower end
        ([(100, [1]), (200, [1])], [(0, 7, "rec", 150)]),  # never there
        ([(100, [1]), (200, [7])], [(0, 7, "search", 150)]),  # its own channel says nothing of the other
        ([(100, [1]), (200, [7])], [(0, 7, "rec", 150), (0, 7, "rec", 190)]),  # which of the two?
        ([(100, [1]), (200, [7])], [(0, 7, "rec", 150), (0, 7, "search", 190)]),
        ([(100, [1]), (200, [7])], [(1, 7, "rec", 150)]),  # somebody else's
        ([(100, [1]), (200, [7])], [(0, 7, "rec", None)]),
        ([(None, [1]), (200, [7])], [(0, 7, "rec", 150)]),
        ([(200, [1]), (200, [7])], [(0, 7, "rec", 150)]),  # at one time: neither is the earlier
        ([(100, None), (200, [None])], [(0, 7, "rec", 150)]),
    ],
)
def test_no_evidence(requests, clicks):
    assert found([(0, "search", time, window) for time, window in requests], clicks) == []


users = st.integers(0, 3)
channels = st.sampled_from(["rec", "search", "dqa"])
seconds = st.none() | st.integers(1, 20)
logs = st.tuples(
    st.lists(st.tuples(users, channels, seconds, st.lists(st.integers(0, 4), max_size=4)), max_size=25),
    st.lists(st.tuples(users, st.integers(0, 4), channels, seconds), max_size=12),
)


@given(logs, st.sets(users), st.randoms())
def test_the_evidence_of_users_adds_up_in_any_order(log, some, random):
    requests, clicks = log
    whole = found(requests, clicks)
    random.shuffle(requests)
    random.shuffle(clicks)
    parts = [
        found([r for r in requests if (r[0] in some) == part], [c for c in clicks if (c[0] in some) == part])
        for part in (True, False)
    ]
    assert sorted(parts[0] + parts[1]) == whole == sorted(whole)


@given(logs, st.integers(-7, 7))
def test_a_device_that_is_days_off_says_the_same(log, days):
    def moved(rows, place):
        late = days * DAY
        return [(*r[:place], r[place] and r[place] + late * (r[0] == 0), *r[place + 1 :]) for r in rows]

    assert found(moved(log[0], 2), moved(log[1], 3)) == found(*log)


def test_where_most_intervals_overlap():
    calibration = calibrate(intervals((0, 10), (5, 20), (8, 9), (30, 40)))
    assert (calibration.low, calibration.high, calibration.share, calibration.pairs) == (8, 9, 0.75, 4)
    assert calibration.best == 8  # three hold no time zone


def test_ends_belong_to_an_interval():
    calibration = calibrate(intervals((0, 10), (10, 20)))
    assert (calibration.low, calibration.high, calibration.share) == (10, 10, 1.0)


def test_of_equals_the_nearest_to_the_documented_offset():
    calibration = calibrate(intervals((-900, 0), (28_790, 28_810), (57_600, 57_600)))
    assert (calibration.low, calibration.high, calibration.best) == (28_790, 28_810, 28_800)


def test_a_time_zone_is_likelier_than_an_odd_second_that_holds_hardly_more():
    shares = [(-100, 100)] * 199 + [(-20, -10)]
    assert calibrate(intervals(*shares)).best == 0
    assert calibrate(intervals(*shares, *[(-20, -10)] * 9)).best == -15


def test_shares_of_the_other_hypotheses():
    calibration = calibrate(intervals((0, 30_000), (20_000, 60_000), (-30_000, 0), (28_800, 28_800)))
    assert calibration.shares == {28_800: 0.75, 0: 0.5, -28_800: 0.25, 57_600: 0.25}


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 9)), min_size=1, max_size=9))
def test_the_sweep_is_exact(drawn):
    bounds = [(low, low + width) for low, width in drawn]
    counts = {offset: sum(low <= offset <= high for low, high in bounds) for offset in range(-10, 20)}
    calibration = calibrate(intervals(*bounds))
    assert calibration.share == max(counts.values()) / len(bounds)
    assert all(counts[o] == max(counts.values()) for o in range(calibration.low, calibration.high + 1))
    assert calibration.shares[0] == counts[0] / len(bounds)


AHEAD, EPOCH, NEITHER = (28_000, 29_000), (-500, 500), (100_000, 100_001)


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ([AHEAD] * (MIN_PAIRS - 1), "too little evidence"),
        ([], "too little evidence"),
        ([AHEAD] * MIN_PAIRS, "confirmed"),
        ([AHEAD] * 70 + [(500 * i, 500 * i) for i in range(100, 130)], "confirmed"),
        ([AHEAD] * 69 + [(500 * i, 500 * i) for i in range(100, 131)], "contradicted"),
        ([(0, 28_800)] * 95 + [(0, 28_700)] * 5, "confirmed"),
        ([(0, 28_800)] * 94 + [(0, 28_700)] * 6, "contradicted"),
        ([EPOCH] * MIN_PAIRS, "contradicted"),
    ],
)
def test_the_verdict(bounds, verdict):
    assert calibrate(intervals(*bounds)).verdict == verdict


def test_a_contradiction_says_what_the_data_say_and_how_to_go_on():
    sentence = calibrate(intervals(*[EPOCH] * 90, *[AHEAD] * 10)).sentence()
    assert sentence == (
        "The documented offset of the search clock, 28800 s, fits 10.0% of 100 clicks that a later window of the other "
        "channel takes up, but 0 s fits 90.0% (the most, 90.0%, from -500 to 500 s); convert with --search-offset 0 to "
        "follow the data."
    )


def test_no_offset_is_named_where_none_fits():
    sentence = calibrate(intervals(*[EPOCH] * 40, *[AHEAD] * 30, *[NEITHER] * 30)).sentence()
    assert "fits 30.0% of 100 clicks" in sentence
    assert "no offset more than 40.0%" in sentence
    assert f"--search-offset {SEARCH_OFFSET}" in sentence


def test_the_other_sentences():
    assert calibrate(intervals(*[AHEAD] * 30)).sentence().endswith("the best fits 100.0%.")
    assert (
        calibrate(intervals(AHEAD))
        .sentence()
        .endswith("of at least 30 clicks that a later window of the other channel takes up, there are 1.")
    )
