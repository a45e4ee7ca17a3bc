"""Histories become rows, and rows become tensors."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data import SequenceData, load
from recsys.data.batches import BatchLoader, assemble, request_rows, training_rows
from recsys.data.histories import Histories, histories
from recsys.data.ragged import Ragged, offsets_of
from recsys.errors import InputError

NOTHING = np.zeros(0, np.int64)


def only_items(lengths, visible):
    """Histories of users with that many items and points that see so many of them."""
    pairs = sorted((user, v) for user, seen in enumerate(visible) for v in seen)
    user, seen = np.array(pairs, np.int64).reshape(-1, 2).T
    return Histories(
        item=Ragged(offsets_of(np.array(lengths)), np.arange(1, 1 + sum(lengths))),
        timestamp=np.arange(sum(lengths)),
        request_timestamp=np.arange(sum(lengths)),
        user=user,
        visible=seen,
        request=np.arange(len(user)),
        target=Ragged(np.zeros(1 + len(user), np.int64), NOTHING),
        wanted=np.ones(len(user), bool),
        search_user=NOTHING,
        search_timestamp=NOTHING,
        search_visible=NOTHING,
        search_row=NOTHING,
    )


@st.composite
def many_histories(draw):
    lengths = draw(st.lists(st.integers(0, 14), min_size=1, max_size=4))
    visible = [draw(st.lists(st.integers(0, length), max_size=6)) for length in lengths]
    max_len = draw(st.integers(1, 6))
    return only_items(lengths, visible), max_len, draw(st.integers(1, max_len))


def windows(rows):
    return list(zip(rows.user.tolist(), rows.start.tolist(), rows.end.tolist(), strict=True))


def test_windows_by_hand():
    """10 items, windows of 4, 2 apart: they end at 9, the last that is seen, then 7, 5 and 3."""
    rows = training_rows(only_items([10, 2, 3], [[0, 1, 2, 5, 6, 9], [], [3]]), 4, 2)
    assert windows(rows) == [(0, 0, 3), (0, 1, 5), (0, 3, 7), (0, 5, 9), (2, 0, 3)]
    assert [rows.point[i].tolist() for i in range(5)] == [[0, 1, 2], [3], [4], [5], [6]]


@settings(max_examples=60, deadline=None)
@given(many_histories())
def test_every_point_is_trained_exactly_once_with_enough_before_it(case):
    known, max_len, stride = case
    rows = training_rows(known, max_len, stride)
    assert sorted(rows.point.values.tolist()) == list(range(len(known.user)))
    assert (rows.end - rows.start <= max_len).all()
    assert (rows.start >= 0).all()
    assert (rows.end <= known.item.lengths[rows.user]).all()
    for row in range(len(rows)):
        for point in rows.point[row]:
            seen = known.visible[point]
            assert known.user[point] == rows.user[row]
            assert seen <= rows.end[row]
            assert seen - rows.start[row] >= min(seen, max_len - stride + 1)


@settings(max_examples=60, deadline=None)
@given(many_histories())
def test_every_request_has_a_row_with_its_latest_items(case):
    known, max_len, _ = case
    rows = request_rows(known, max_len)
    assert rows.point.values.tolist() == list(range(len(known.user)))
    assert rows.end.tolist() == known.visible.tolist()
    assert (rows.end - rows.start).tolist() == np.minimum(known.visible, max_len).tolist()


@pytest.fixture
def data(folder):
    """u has clicked a b c (train), d (valid) and a (test); w a (train); x nothing before its test request."""
    inter = [("u", item, second, "", "rec", "train") for item, second in [("a", 10), ("b", 20), ("c", 30)]]
    inter += [("u", "d", 40, "", "rec", "valid"), ("u", "a", 50, "", "rec", "test"), ("w", "a", 5, "", "rec", "train")]
    request = [
        ("u1", "u", 10, "train", [], ["a"], [1], ["a"]),
        ("u2", "u", 20, "train", [], ["b", "z", "c"], [1, 2, 3], ["b", "z", "c"]),
        ("u4", "u", 40, "valid", [], ["d"], [1], ["d"]),
        ("u5", "u", 50, "test", [], ["a"], [1], ["a"]),
        ("w1", "w", 5, "train", [], ["a"], [1], ["a"]),
        ("x1", "x", 9, "test", [], ["a"], [1], ["a"]),
    ]
    search = [
        ("s1", "u", 15, "q", "3", ["c", "z", "b"], "train"),
        ("s2", "u", 45, "p", "1", ["a"], "test"),
        ("s3", "x", 8, "q", "2", [], "test"),
    ]
    path = folder(inter=inter, request=request, search=search, query=[("q", ["q"]), ("p", ["p", "p"])])
    dataset = load(path, ("train", "valid"))
    assert sorted(dataset.items.tokens) == list("abcd")
    return dataset


def test_a_training_batch_by_hand(data):
    known = histories(data, "train")
    rows = training_rows(known, 5, 2)
    a, b, c = data.items.encode(["a", "b", "c"]).tolist()
    batch = assemble(data, known, rows, np.array([1, 0]), training=True)  # w's row, then u's
    # u2 sees a; u1 and w1 see nothing and lie on the row of padding that is added behind
    assert batch.item.tolist() == [[0], [a], [0]]
    assert batch.next_item.tolist() == [a, b, 0]
    assert [data.requests.id[i] for i in batch.request] == ["w1", "u1", "u2"]
    assert batch.point_row.tolist() == [2, 2, 1]
    assert batch.point_position.tolist() == [0, 0, 0]
    assert batch.target_point.tolist() == [0, 1, 2, 2]  # z is in no vocabulary
    assert batch.target_item.tolist() == [a, a, b, c]
    assert (batch.search_row.tolist(), batch.search_position.tolist()) == ([1], [0])
    assert batch.search_type.tolist() == [3]
    assert batch.search_click.tolist() == [0, 0]
    assert batch.search_click_item.tolist() == [c, b]  # z is in no vocabulary
    assert batch.timestamp.tolist() == [[0], [10], [0]]
    assert batch.request_timestamp.tolist() == [[0], [20], [0]]  # of u2, which comes after a


def test_an_evaluation_batch_by_hand(data):
    known = histories(data, "test")
    rows = request_rows(known, 3)
    b, c, d = data.items.encode(["b", "c", "d"]).tolist()
    batch = assemble(data, known, rows, np.array([0, 1]), training=False)
    assert [data.requests.id[i] for i in batch.request] == ["u5", "x1"]
    assert batch.item.tolist() == [[b, c, d], [0, 0, 0]]
    assert batch.next_item.tolist() == [0, 0]
    assert batch.point_row.tolist() == [0, 1]
    assert batch.point_position.tolist() == [2, 0]
    assert (len(batch.target_point), len(batch.target_item)) == (0, 0)
    assert batch.timestamp.tolist() == [[20, 30, 40], [0, 0, 0]]
    assert batch.request_timestamp.tolist() == [[30, 40, 50], [0, 0, 0]]  # x1 has nothing to be measured from
    # q stood behind a, which the cut has taken away; p is newer than d; x has searched and never clicked
    assert batch.search_row.tolist() == [0, 1]
    assert batch.search_position.tolist() == [2, 0]
    assert batch.search_type.tolist() == [1, 2]
    assert torch.equal(batch.search_gram, torch.from_numpy(data.searches.gram[[1, 2]]))
    assert batch.search_click is batch.search_click_item is None  # what came of a search is later than it


@pytest.mark.parametrize("training", [True, False])
def test_every_tensor_is_int64(data, training):
    known = histories(data, "train" if training else "test")
    rows = training_rows(known, 5, 2) if training else request_rows(known, 5)
    batch = assemble(data, known, rows, np.arange(len(rows)), training)
    given = {name: value for name, value in vars(batch).items() if value is not None}
    assert {name: value.dtype for name, value in given.items() if value.dtype != torch.int64} == {}
    assert len(batch) == len(batch.request) == len(batch.point_row) == len(batch.point_position)


@pytest.mark.parametrize("training", [True, False])
def test_what_is_not_asked_for_is_left_out_and_the_rest_stays(data, training):
    known = histories(data, "train" if training else "test")
    rows = training_rows(known, 5, 2) if training else request_rows(known, 5)
    whole, bare = (assemble(data, known, rows, np.arange(len(rows)), training, *([asked] * 2)) for asked in (1, 0))
    assert len(whole.search_row) > 0
    assert bare.timestamp is bare.request_timestamp is None
    assert bare.search_row.tolist() == bare.search_type.tolist() == []
    left = vars(bare).keys() - {"timestamp", "request_timestamp", *(name for name in vars(bare) if "search" in name)}
    assert all(torch.equal(vars(whole)[name], vars(bare)[name]) for name in left)


def test_a_data_set_without_searches_has_none_in_its_batches(generic):
    dataset = load(generic([("u", item, i) for i, item in enumerate("abcd")]))
    known = histories(dataset, "train")
    batch = assemble(dataset, known, training_rows(known, 5, 2), np.array([0]), True)
    assert len(batch.search_row) == len(batch.search_position) == len(batch.search_type) == len(batch.search_gram) == 0
    assert batch.next_item.tolist()[0] == dataset.items.encode(["b"])[0]  # c and d are valid and test


@pytest.fixture
def loader(generic):
    rows = [(f"u{user:02}", item, i) for user in range(23) for i, item in enumerate("abcdef"[: 3 + user % 4])]
    dataset = load(generic(rows), ("train", "valid", "test"))

    def make(training, **settings):
        known = histories(dataset, "train" if training else "test")
        rows = training_rows(known, 4, 2) if training else request_rows(known, 4)
        return BatchLoader(dataset, known, rows, batch_size=4, training=training, **settings)

    return make


def requests(loader):
    return [batch.request.tolist() for batch in loader]


def flat(batches):
    return [request for batch in batches for request in batch]


def test_the_same_seed_gives_the_same_order_again_and_again(loader):
    first = loader(True, seed=3)
    assert requests(first) == requests(first) == requests(loader(True, seed=3))
    assert requests(loader(True, seed=4)) != requests(first)


def test_another_epoch_has_another_order_of_the_same(loader):
    one = loader(True)
    before = requests(one)
    one.set_epoch(1)
    after = requests(one)
    assert before != after
    assert sorted(flat(before)) == sorted(flat(after)) == sorted(set(flat(before)))
    one.set_epoch(0)
    assert requests(one) == before


def test_evaluation_keeps_the_order_of_the_requests(loader):
    assert flat(requests(loader(False))) == sorted(flat(requests(loader(False))))


@settings(max_examples=60, deadline=None)
@given(many_histories(), st.integers(1, 3), st.integers(1, 3), st.integers(0, 5))
def test_processes_share_all_rows_but_the_surplus(case, batch_size, world, epoch):
    known, max_len, stride = case
    rows = training_rows(known, max_len, stride)
    parts = [BatchLoader(None, known, rows, batch_size, True, 0, rank, world, epoch) for rank in range(world)]
    shares = [part._share() for part in parts]
    assert {len(share) for share in shares} == {len(rows) // world}
    assert len(set(np.concatenate(shares).tolist())) == len(rows) // world * world
    assert {len(part) for part in parts} == {-(-len(shares[0]) // batch_size)}


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("world", [1, 2])
def test_an_epoch_is_gone_on_with_where_it_was_left(loader, world, epoch):
    def make():
        return loader(True, seed=3, rank=world - 1, world=world, epoch=epoch)

    whole = requests(make())
    for done in range(1, len(whole) + 1):
        left = make()
        batches = iter(left)
        assert [next(batches).request.tolist() for _ in range(done)] == whole[:done]
        resumed = loader(True, seed=3, rank=world - 1, world=world)
        resumed.load_state_dict(left.state_dict())
        iter(resumed)  # Lightning makes an iterator before it sets the epoch, and may make another
        resumed.set_epoch(epoch)
        assert requests(resumed) == whole[done:]
        assert requests(resumed) == whole
        assert len(resumed) == len(whole)


def test_a_state_says_nothing_about_another_epoch(loader):
    left = loader(True)
    next(iter(left))  # and no further, as trainer.limit_train_batches has it
    resumed = loader(True)
    resumed.load_state_dict(left.state_dict())
    resumed.set_epoch(1)
    left.set_epoch(1)
    assert requests(resumed) == requests(left)


@pytest.mark.parametrize("other", [{"seed": 1}, {"world": 2}])
def test_an_epoch_is_not_gone_on_with_in_another_order(loader, other):
    left = loader(True)
    next(iter(left))
    resumed = loader(True, **other)
    resumed.load_state_dict(left.state_dict())
    with pytest.raises(InputError, match="stopped in the middle of an epoch"):
        requests(resumed)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_several_processes_evaluate_every_request_once(loader, world):
    parts = [loader(False, rank=rank, world=world) for rank in range(world)]
    found = [flat(requests(part)) for part in parts]
    assert sorted(flat(found)) == flat(requests(loader(False)))
    assert [len(part) for part in parts] == [len(requests(part)) for part in parts]


@pytest.mark.parametrize("world", [2, 3, 4])
def test_several_processes_train_as_many_steps_on_different_rows(loader, world):
    parts = [loader(True, rank=rank, world=world) for rank in range(world)]
    assert len({len(part) for part in parts}) == 1
    found = [{request for batch in part for request in batch.request.tolist()} for part in parts]
    assert sum(map(len, found)) == len(set().union(*found))


def test_a_batch_moves_as_a_whole(data):
    known = histories(data, "test")
    rows = training_rows(known, 5, 2)
    batch = assemble(data, known, rows, np.array([0]), training=True).to(torch.int32)
    assert {getattr(batch, field.name).dtype for field in dataclasses.fields(batch)} == {torch.int32}


def test_the_data_module_reads_splits_and_counts(data, tmp_path):
    module = SequenceData(str(tmp_path / "tiny"), max_len=3, vocabulary="train+valid")
    assert module.stride == 1
    assert module.n_items == 5
    counts = dict(zip(module.dataset.items.tokens, module.popularity()[1:].tolist(), strict=True))
    assert counts == {"a": 2, "b": 1, "c": 1, "d": 0}
    assert module.popularity()[0] == 0
    names = {
        name: [module.dataset.requests.id[r] for r in flat(requests(getattr(module, f"{name}_dataloader")()))]
        for name in ("train", "val", "test", "predict")
    }
    assert sorted(names["train"]) == ["u1", "u2", "w1"]
    assert {**names, "train": 0} == {"train": 0, "val": ["u4"], "test": ["u5", "x1"], "predict": ["u5", "x1"]}
