"""Leave-one-out, by hand."""

import polars as pl
import pytest

from recsys.data import SPLITS, load
from recsys.data.split import leave_one_out


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


def test_ties_keep_the_order_of_the_file(generic):
    """The user's rows stand apart in the file, and three have the same time: z, then a, then m."""
    rows = [("u", "late", 9), ("u", "z", 5), ("w", "a", 1), ("u", "a", 5), ("w", "z", 2), ("u", "m", 5), ("w", "m", 3)]
    rows += [("u", "early", 1)]
    data = load(generic(rows), ("train", "valid", "test"))
    mine = data.events.user == data.users.index("u")
    assert data.items.decode(data.events.item[mine]) == ["early", "z", "a", "m", "late"]
    assert [SPLITS[i] for i in data.events.split[mine]] == ["train", "train", "train", "valid", "test"]
