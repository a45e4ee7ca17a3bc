"""Where a conversion chose `history: window`, a request knows the window delivered with it, and no timeline."""

import json

import numpy as np
import pytest
import torch

from recsys.data import load
from recsys.data.batches import assemble, request_rows, training_rows
from recsys.data.histories import histories

INTER = [
    ("u", "a", 10, "r1", "rec", "train"),
    ("u", "b", 20, "r2", "rec", "train"),
    ("u", "c", 30, "r3", "rec", "valid"),
    ("u", "d", 40, "r4", "rec", "test"),
    ("v", "c", 15, "r5", "rec", "train"),
    ("v", "d", 15, "r5", "rec", "train"),
]
REQUEST = [
    ("r1", "u", 10, "train", [], ["a"], ["1"], ["a"]),
    ("r2", "u", 20, "train", ["c", "zz", "a"], ["b"], ["1"], ["b"]),
    ("r3", "u", 30, "valid", ["a", "b"], ["c"], ["1"], ["c"]),
    ("r4", "u", 40, "test", ["b", "d", "c"], ["d"], ["1"], ["d"]),
    ("r5", "v", 15, "train", ["a", "b"], ["c", "d"], ["1", "2"], ["c", "d"]),
]
SEARCH = [
    ("s1", "u", 9, "x", "1", [], "train"),
    ("s2", "u", 20, "y", "1", [], "train"),
    ("s3", "u", 35, "z", "1", [], "test"),
    ("s4", "v", 3, "y", "1", [], "train"),
]
QUERY = [(letter, [letter]) for letter in "xyz"]


@pytest.fixture
def data(folder):
    path = folder(inter=INTER, request=REQUEST, search=SEARCH, query=QUERY)
    (path / "tiny.meta.json").write_text(json.dumps({"options": {"history": "window"}}))
    return load(path)


def batches(data, split, training=False):
    known = histories(data, split)
    rows = training_rows(known, 50, 25) if training else request_rows(known, 50)
    return known, assemble(data, known, rows, np.arange(len(rows)), training)


def test_each_request_sees_its_own_window(data):
    _, batch = batches(data, "train", training=True)
    seen = {
        data.requests.id[request]: "".join(data.items.decode(batch.item[row, : position + 1].numpy())).replace(
            "[PAD]", ""
        )
        for request, row, position in zip(
            batch.request.tolist(), batch.point_row.tolist(), batch.point_position.tolist(), strict=True
        )
    }
    assert seen == {"r1": "", "r2": "ca", "r5": "ab"}  # zz is no item
    _, batch = batches(data, "test")
    assert data.items.decode(batch.item[0].numpy()) == ["b", "d", "c"]


def test_the_first_click_follows_the_window_and_is_seen_by_no_point(data):
    _, batch = batches(data, "train", training=True)
    following = dict(zip(["r1", "r2", "r5"], data.items.decode(batch.next_item[: len(batch)].numpy()), strict=False))
    assert following["r2"] == "b"
    assert following["r5"] == "c"


def test_searches_are_those_strictly_before_the_request(data):
    known, batch = batches(data, "test")
    assert data.searches.timestamp[known.search_row].tolist() == [9, 20, 35]
    assert batch.search_position.tolist() == [2, 2, 2]
    known, batch = batches(data, "train", training=True)
    # r2 at 20 sees the search at 9 and not the one at 20; r1 has an empty window, on which no search can stand
    visible = sorted(zip(known.search_user.tolist(), known.search_timestamp.tolist(), strict=True))
    assert [second for _, second in visible] == [9, 9, 3]
    assert len(batch.search_row) == 2


def test_the_windows_are_part_of_the_fingerprint(data, folder):
    path = folder("tiny", inter=INTER, request=REQUEST, search=SEARCH, query=QUERY)
    (path / "tiny.meta.json").write_text("{}")
    assert load(path).fingerprint != data.fingerprint


def test_nobody_knows_when_the_clicks_of_a_window_were(data):
    for split, training in [("train", True), ("test", False)]:
        _, batch = batches(data, split, training)
        real = batch.item > 0
        assert torch.equal(batch.timestamp[real], batch.request_timestamp[real])
