"""What a request may know: everything strictly before it began, and nothing of a later split."""

import numpy as np
import pytest

from recsys.data import load
from recsys.data.batches import assemble, request_rows, training_rows
from recsys.data.histories import first_legal, histories, returns
from recsys.data.ragged import Ragged
from recsys.models.text import grams

# u:  w(0)  [r1 at 10: a(10), b(500)]  [r2 at 100: c(100)]  [r3 at 501: d]   valid r4 at 600: e   test r5 at 700: a, f
INTER = [
    ("u", "w", 0, "", "window", "train"),
    ("u", "a", 10, "r1", "rec", "train"),
    ("u", "b", 500, "r1", "rec", "train"),
    ("u", "c", 100, "r2", "rec", "train"),
    ("u", "d", 501, "r3", "rec", "train"),
    ("u", "e", 600, "r4", "rec", "valid"),
    ("u", "a", 700, "r5", "rec", "test"),
    ("u", "b", 700, "r5", "rec", "test"),
]
REQUEST = [
    ("r1", "u", 10, "train", [], ["a", "b"], [1, 2], ["a", "b"]),
    ("r2", "u", 100, "train", [], ["c"], [1], ["c"]),
    ("r3", "u", 501, "train", [], ["d"], [1], ["d"]),
    ("r4", "u", 600, "valid", [], ["e"], [1], ["e"]),
    ("r5", "u", 700, "test", [], ["a", "b"], [1, 2], ["a", "b"]),
]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
QUERY = [(letter, [letter]) for letter in LETTERS]


def search(user, second, text, split="train"):
    return (f"s{second}", user, second, text, "1", [], split)


@pytest.fixture
def seen(folder):
    """Per split: request id → (the items that it sees, the searches that it sees), as read off the batches."""

    def read(split, inter=INTER, request=REQUEST, searches=(), max_len=50, training=False, vocabulary=("train",)):
        data = load(folder(inter=inter, request=request, search=list(searches), query=QUERY), vocabulary)
        known = histories(data, split)
        rows = training_rows(known, max_len, max(1, max_len // 2)) if training else request_rows(known, max_len)
        text = {tuple(grams(letter)): letter for letter in LETTERS}
        found = {}
        for row in range(len(rows)):
            batch = assemble(data, known, rows, np.array([row]), training)
            for point in range(len(batch)):
                at, position = batch.point_row[point], batch.point_position[point]
                items = [i for i in batch.item[at, : position + 1].tolist() if i]
                visible = (batch.search_row == at) & (batch.search_position <= position)
                queries = [text[tuple(g for g in gram if g)] for gram in batch.search_gram[visible].tolist()]
                found[data.requests.id[int(batch.request[point])]] = (
                    "".join(data.items.decode(items)),
                    "".join(sorted(queries)),
                )
        return found

    return read


def test_items_strictly_before_the_request(seen):
    assert {i: items for i, (items, _) in seen("train", training=True).items()} == {
        "r1": "w",
        "r2": "wa",  # r1 is still open: its second click comes later
        "r3": "wacb",
    }
    assert seen("valid") == {"r4": ("wacbd", "")}


def test_clicks_of_one_request_never_see_each_other(seen):
    assert seen("test") == {"r5": ("wacbd", "")}  # e is not in the vocabulary


def test_a_click_at_the_very_second_of_a_request_is_not_visible_to_it(seen):
    inter = [*INTER, ("u", "d", 599, "", "window", "train"), ("u", "c", 600, "", "window", "train")]
    assert seen("valid", inter=inter)["r4"][0] == "wacbdd"


def test_validation_clicks_are_seen_by_the_test_and_never_by_training(seen):
    early = [*INTER, ("u", "e", 1, "", "window", "valid"), ("u", "f", 2, "", "window", "test")]
    everything = ("train", "valid", "test")
    assert seen("train", inter=early, training=True, vocabulary=everything)["r3"][0] == "wacb"
    assert seen("valid", inter=early, vocabulary=everything)["r4"][0] == "weacbd"
    assert seen("test", inter=early, vocabulary=everything)["r5"][0] == "wefacbde"


def test_items_outside_the_vocabulary_are_left_out(seen):
    early = [*INTER, ("u", "e", 1, "", "window", "valid")]
    assert seen("test", inter=early)["r5"][0] == "wacbd"


def test_only_the_latest_items_when_the_history_is_long(seen):
    assert seen("test", max_len=2)["r5"][0] == "bd"


def test_a_user_without_history(seen):
    inter = [*INTER, ("x", "a", 650, "r9", "rec", "test"), ("y", "a", 5, "r8", "rec", "train")]
    request = [
        *REQUEST,
        ("r9", "x", 650, "test", [], ["a"], [1], ["a"]),
        ("r8", "y", 5, "train", [], ["a"], [1], ["a"]),
        ("r7", "z", 5, "train", [], ["a"], [1], []),  # no click, no event at all
    ]
    assert seen("test", inter, request)["r9"] == ("", "")
    found = seen("train", inter, request, training=True)
    assert (found["r8"], found["r7"]) == (("", ""), ("", ""))


def test_searches_strictly_before_the_request(seen):
    searches = [
        search("u", 599, "a", "valid"),
        search("u", 600, "b", "valid"),
        search("u", 699, "c", "test"),
        search("u", 700, "d", "test"),
        search("u", 701, "e", "test"),
        search("u", 50, "f"),
    ]
    assert seen("valid", searches=searches)["r4"][1] == "af"
    assert seen("test", searches=searches)["r5"][1] == "abcf"


def test_the_train_split_does_not_see_searches_of_the_others(seen):
    searches = [search("u", 50, "a", "valid"), search("u", 50, "b", "test"), search("u", 50, "c")]
    assert seen("train", searches=searches, training=True)["r2"][1] == "c"
    assert seen("valid", searches=searches)["r4"][1] == "ac"


def test_in_training_a_search_is_seen_from_the_first_request_after_it_on(seen):
    searches = [search("u", 50, "a"), search("u", 100, "b"), search("u", 101, "c"), search("u", 501, "d")]
    found = seen("train", searches=searches, training=True)
    assert {i: queries for i, (_, queries) in found.items()} == {"r1": "", "r2": "a", "r3": "abc"}


def test_of_requests_that_share_a_place_the_earliest_decides_in_training(seen):
    """Both see w alone; a search between them would reach the earlier one from the future, so it waits."""
    inter = [*INTER, ("u", "c", 7000, "r6", "rec", "train")]
    request = [*REQUEST, ("r6", "u", 5, "train", [], ["c"], [1], ["c"])]
    searches = [search("u", 7, "a"), search("u", 4, "b")]
    found = seen("train", inter, request, searches, training=True)
    assert (found["r6"], found["r1"]) == (("w", "b"), ("w", "b"))
    assert found["r2"] == ("wa", "ab")


def test_when_predicting_a_request_that_shares_a_place_sees_its_own_past(seen):
    later = [("r6", "u", 650, "test", [], ["c"], [1], ["c"]), ("r7", "u", 800, "test", [], ["c"], [1], ["c"])]
    searches = [search("u", 640, "a", "test"), search("u", 660, "b", "test")]
    found = seen("test", request=[*REQUEST, *later], searches=searches)
    assert (found["r6"], found["r5"], found["r7"]) == (("wacbd", "a"), ("wacbd", "ab"), ("wacbdab", "ab"))


def test_a_search_before_the_first_item_is_seen_when_predicting(seen):
    inter = [("x", "a", 600, "", "rec", "valid"), *INTER]
    request = [*REQUEST, ("r9", "x", 650, "test", [], ["a"], [1], ["a"])]
    assert seen("test", inter, request, [search("x", 1, "q")])["r9"] == ("a", "q")


def test_users_with_searches_and_no_clicks(seen):
    request = [*REQUEST, ("r9", "x", 650, "test", [], ["a"], [1], ["a"])]
    searches = [search("x", 649, "a", "test"), search("x", 650, "b", "test"), search("only", 3, "z")]
    assert seen("test", request=request, searches=searches)["r9"] == ("", "a")


def test_searches_older_than_a_cut_history_are_left_out(seen):
    searches = [search("u", 50, "a"), search("u", 502, "b", "valid")]
    assert seen("test", searches=searches, max_len=2)["r5"] == ("bd", "b")


def test_where_searches_stand():
    """Two requests of user 0 see 3 items (at 5 and 8), one sees 4 (at 20), as user 1's (at 2); user 2's sees none."""
    user, visible = np.array([0, 0, 0, 1, 2]), np.array([3, 3, 4, 4, 0])
    timestamp = np.array([5, 8, 20, 2, 1])
    at = [(0, 4, 3), (0, 5, 4), (0, 7, 4), (0, 8, 4), (0, 19, 4), (0, 20, -1), (1, 1, 4), (1, 2, -1), (2, 0, 0)]
    at += [(2, 1, -1), (3, 0, -1)]
    searched, when, expected = (np.array(column) for column in zip(*at, strict=True))
    assert first_legal(searched, when, user, timestamp, visible).tolist() == expected.tolist()


def test_leave_one_out_goes_by_the_order_of_the_file(generic):
    """All at one second: each event sees those above it."""
    data = load(generic([("u", item, 7) for item in "abcde"]), ("train", "valid", "test"))
    for split, visible in {"train": [0, 1, 2], "valid": [0, 1, 2, 3], "test": [0, 1, 2, 3, 4]}.items():
        known = histories(data, split)
        assert known.visible.tolist() == visible
        assert known.wanted.sum() == (3 if split == "train" else 1)
        assert data.items.decode(known.item[0]) == list("abcde"[: len(visible)])


def test_a_user_comes_back_with_the_earliest_request_that_sees_no_further_or_else_with_the_next_item():
    item = Ragged(np.array([0, 4, 4, 5]), np.arange(1, 6))
    clicked = np.array([10, 20, 30, 40, 7])
    user, timestamp, visible = (
        np.array([0, 0, 0, 0, 1, 2]),
        np.array([9, 24, 26, 50, 1, 5]),
        np.array([0, 2, 2, 4, 0, 0]),
    )
    assert returns(item, clicked, user, timestamp, visible).tolist() == [20, 24, 40, 50, 7]


def test_a_request_is_answered_with_its_own_time_though_an_earlier_one_sees_the_same(folder):
    """r2 and r3 both see a alone: in training r2's time stands behind it, in evaluation each has its own."""
    inter = [("u", "a", 10, "r1", "rec", "train"), ("u", "b", 90, "r3", "rec", "train")]
    request = [
        ("r1", "u", 10, "train", [], ["a"], [1], ["a"]),
        ("r2", "u", 50, "train", [], ["z"], [1], ["z"]),
        ("r3", "u", 90, "train", [], ["b"], [1], ["b"]),
        ("r4", "u", 95, "valid", [], ["b"], [1], ["b"]),
        ("r5", "u", 99, "test", [], ["b"], [1], ["b"]),
    ]
    data = load(folder(inter=inter, request=request))
    known = histories(data, "train")
    batch = assemble(data, known, training_rows(known, 50, 25), np.array([0]), training=True)
    assert batch.timestamp[0].tolist() == [10]
    assert batch.request_timestamp[0].tolist() == [50]
    batch = assemble(data, known, request_rows(known, 50), np.arange(3), training=False)
    assert batch.request_timestamp.tolist() == [[0], [50], [90]]
    known = histories(data, "test")
    batch = assemble(data, known, request_rows(known, 50), np.arange(1), training=False)
    assert (batch.timestamp.tolist(), batch.request_timestamp.tolist()) == ([[10, 90]], [[50, 99]])


def test_without_requests_a_user_comes_back_with_the_next_item(generic):
    data = load(generic([("u", item, 10 * i**2) for i, item in enumerate("abcde")]), ("train", "valid", "test"))
    known = histories(data, "train")
    batch = assemble(data, known, training_rows(known, 50, 25), np.array([0]), training=True)
    assert (batch.timestamp[0].tolist(), batch.request_timestamp[0].tolist()) == ([0, 10], [10, 40])
    known = histories(data, "test")
    batch = assemble(data, known, request_rows(known, 50), np.array([0]), training=False)
    assert (batch.timestamp[0].tolist(), batch.request_timestamp[0].tolist()) == ([0, 10, 40, 90], [10, 40, 90, 160])
