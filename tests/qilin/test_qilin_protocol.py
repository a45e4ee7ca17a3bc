import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.qilin.protocol import Cuts, assign, cuts, require_all

SPLITS = ["official", "strict_time", "temporal", "leave_one_out"]


def starts(*seconds, config="recommendation_train"):
    return pl.DataFrame({"config": [config] * len(seconds), "timestamp": seconds, "n": [1] * len(seconds)})


def requests(*rows):
    """(config, user, second) → requests."""
    frame = pl.DataFrame(rows, schema=["config", "user_idx", "timestamp"], orient="row").with_row_index("request")
    source = pl.when(pl.col("config").str.starts_with("rec")).then(pl.lit("rec")).otherwise(pl.lit("search"))
    return frame.with_columns(index=pl.col("request").cast(pl.Int64), source=source)


def splits(frame, split, at):
    return assign(frame, split, at).sort("request")["split"].to_list()


def targets(frame, split, at):
    return assign(frame, split, at).sort("request")["target"].to_list()


def test_the_last_tenth_by_time():
    times = starts(50, 10, 20, 90, 30, 40, 60, 70, 80, 100)
    assert cuts(times, "official", 0.1, 0.5) == Cuts(valid=100, test=79_200)
    assert cuts(times, "official", 0.2, 0.5).valid == 90
    assert cuts(starts(1, 2), "official", 0.1, 0.5).valid == 2
    ignored = starts(500, config="recommendation_test")
    assert cuts(pl.concat([times, ignored]), "strict_time", 0.1, 0.5).valid == 100


def test_requests_of_the_same_second_are_on_one_side():
    times = pl.DataFrame({"config": ["recommendation_train"] * 2, "timestamp": [5, 9], "n": [2, 6]})
    assert cuts(times, "official", 0.1, 0.5).valid == 9


def test_a_temporal_split_cuts_all_requests_twice():
    times = pl.concat([starts(*range(10, 90, 10)), starts(15, 100, config="recommendation_test")])
    assert cuts(times, "temporal", 0.25, 0.2) == Cuts(valid=60, test=80)  # of the eight before 80, two


def test_official_what_is_decided_by_file_and_what_by_time():
    rows = [
        ("recommendation_train", 99, "train"),
        ("recommendation_train", 100, "valid"),
        ("recommendation_test", 5, "test"),
        ("search_train", 99, "train"),
        ("search_train", 100, "valid"),
        ("search_test", 5, "test"),
        ("dqa", 99, "train"),
        ("dqa", 79_199, "valid"),
        ("dqa", 79_200, "test"),
    ]
    frame = requests(*((config, 0, second) for config, second, _ in rows))
    assert splits(frame, "official", Cuts(100, 79_200)) == [expected for *_, expected in rows]
    assert targets(frame, "official", Cuts(100, 79_200)) == [True] * 3 + [False] * 6


def test_strict_time_leaves_out_what_a_user_clicked_after_the_first_test_request():
    frame = requests(
        ("recommendation_train", 0, 10),
        ("recommendation_train", 0, 50),  # the very second of the first test request
        ("recommendation_train", 0, 200),
        ("recommendation_test", 0, 50),
        ("recommendation_test", 0, 900),
        ("recommendation_train", 1, 60),  # another user's test begins elsewhere
        ("search_train", 0, 60),
    )
    assert splits(frame, "strict_time", Cuts(100, 79_200)) == ["train", *["test"] * 4, "train", "train"]
    assert targets(frame, "strict_time", Cuts(100, 79_200)) == [True, False, False, True, True, True, False]
    assert targets(frame, "official", Cuts(100, 79_200)) == [True] * 6 + [False]


def test_temporal_knows_no_files():
    frame = requests(("recommendation_test", 0, 5), ("recommendation_train", 0, 80), ("search_train", 0, 60))
    assert splits(frame, "temporal", Cuts(60, 80)) == ["train", "test", "valid"]


def test_leave_one_out_by_hand():
    frame = requests(
        ("recommendation_train", 0, 30),
        ("recommendation_test", 0, 10),
        ("recommendation_train", 0, 20),
        ("search_train", 0, 19),
        ("search_train", 0, 20),
        ("search_test", 0, 31),
        ("recommendation_train", 1, 10),
        ("recommendation_train", 1, 20),
        ("recommendation_train", 2, 5),
        ("dqa", 2, 9),
    )
    expected = ["test", "train", "valid", "train", "valid", "test", "train", "test", "train", "train"]
    assert splits(frame, "leave_one_out", Cuts(0, 0)) == expected


@st.composite
def logs(draw):
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["recommendation_train", "recommendation_test", "search_train", "dqa"]),
                st.integers(0, 3),
                st.integers(0, 200),
            ),
            min_size=1,
            max_size=30,
        )
    )
    return requests(*rows)


@given(logs(), st.sampled_from(SPLITS), st.randoms(use_true_random=False))
def test_any_order_of_requests_gives_the_same_splits(frame, split, order):
    shuffled = frame.sample(fraction=1, shuffle=True, seed=order.randint(0, 1000))
    assert splits(shuffled, split, Cuts(50, 100)) == splits(frame, split, Cuts(50, 100))


@given(logs(), st.sampled_from(SPLITS))
def test_a_search_is_never_a_target_and_the_users_do_not_matter_to_each_other(frame, split):
    whole = assign(frame, split, Cuts(50, 100)).sort("request")
    assert not whole.filter(pl.col("source") != "rec")["target"].any()
    alone = [assign(frame.filter(user_idx=user), split, Cuts(50, 100)) for user in frame["user_idx"].unique()]
    assert pl.concat(alone).sort("request").equals(whole)


@given(logs(), st.sampled_from(["strict_time", "temporal", "leave_one_out"]))
def test_no_training_target_of_a_user_is_later_than_a_test_request(frame, split):
    found = assign(frame, split, Cuts(50, 100)).filter("target")
    last = found.filter(split="train").group_by("user_idx").agg(pl.col("timestamp").max())
    first = found.filter(split="test").group_by("user_idx").agg(first=pl.col("timestamp").min())
    both = last.join(first, on="user_idx")
    assert (both["timestamp"] <= both["first"]).all()


@given(st.lists(st.integers(0, 90_000), min_size=2), st.floats(0.01, 0.9))
def test_validation_never_precedes_training(times, fraction):
    frame = requests(*(("recommendation_train", 0, second) for second in times))
    parts = assign(frame, "official", cuts(starts(*times), "official", fraction, 0.1))
    valid, train = (parts.filter(split=name)["timestamp"] for name in ("valid", "train"))
    assert len(valid) >= max(1, round(fraction * len(times)))
    assert train.is_empty() or train.max() < valid.min()


def test_nothing_to_train_on():
    with pytest.raises(InputError, match="left to train on"):
        cuts(starts(5, config="recommendation_test"), "official", 0.1, 0.1)


@pytest.mark.parametrize("missing", ["train", "valid", "test"])
def test_no_split_is_empty(missing):
    counts = {name: 1 for name in ("train", "valid", "test") if name != missing}
    with pytest.raises(InputError, match=f"The {missing} split"):
        require_all(counts)
    require_all(counts | {missing: 1})
