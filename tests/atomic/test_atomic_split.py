"""Leave-one-out, by hand."""

import polars as pl
import pytest

from recsys.atomic.split import leave_one_out


def splits(*users):
    frame = pl.DataFrame({"user_id": list(users)}, schema={"user_id": pl.String})
    return " ".join(leave_one_out(frame)["split"])


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        ("a", "train"),
        ("aa", "train test"),
        ("aaa", "train valid test"),
        ("aaaaa", "train train train valid test"),
        ("abbccc", "train train test train valid test"),
    ],
)
def test_the_last_is_test_and_the_one_before_valid(users, expected):
    assert splits(*users) == expected


def test_a_split_that_the_file_brings_is_replaced():
    frame = pl.DataFrame({"user_id": ["a", "a"], "split": ["test", "test"]})
    assert leave_one_out(frame)["split"].to_list() == ["train", "test"]
