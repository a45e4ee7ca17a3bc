import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.qilin.protocol import require_all, split, valid_start


def test_the_last_tenth_by_time():
    times = pl.Series([50, 10, 20, 90, 30, 40, 60, 70, 80, 100])
    assert valid_start(times, 0.1) == 100
    assert valid_start(times, 0.2) == 90
    assert valid_start(pl.Series([1, 2]), 0.1) == 2


def test_what_is_decided_by_file_and_what_by_time():
    requests = pl.DataFrame(
        [
            ("recommendation_train", 99, "train"),
            ("recommendation_train", 100, "valid"),
            ("recommendation_test", 5, "test"),
            ("search_train", 99, "train"),
            ("search_train", 100, "valid"),
            ("search_test", 5, "test"),
            ("dqa", 99, "train"),
            ("dqa", 79_199, "valid"),
            ("dqa", 79_200, "test"),
        ],
        schema=["config", "timestamp", "expected"],
        orient="row",
    )
    assert requests.select(split(100)).to_series().to_list() == requests["expected"].to_list()


@given(st.lists(st.integers(0, 90_000), min_size=2), st.floats(0.01, 0.9))
def test_validation_never_precedes_training(times, fraction):
    requests = pl.DataFrame({"timestamp": times}).with_columns(config=pl.lit("recommendation_train"))
    parts = requests.with_columns(split=split(valid_start(requests["timestamp"], fraction)))
    valid, train = (parts.filter(split=name)["timestamp"] for name in ("valid", "train"))
    assert len(valid) >= max(1, round(fraction * len(times)))
    assert train.is_empty() or train.max() < valid.min()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_no_such_fraction(fraction):
    with pytest.raises(InputError, match="valid_fraction"):
        valid_start(pl.Series([1, 2]), fraction)


@pytest.mark.parametrize("missing", ["train", "valid", "test"])
def test_no_split_is_empty(missing):
    kept = [name for name in ("train", "valid", "test") if name != missing]
    with pytest.raises(InputError, match=f"The {missing} split"):
        require_all(pl.Series(kept))
    require_all(pl.Series([*kept, missing]))
