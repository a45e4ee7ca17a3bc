"""Windows, whatever their length and stride: an epoch trains every click once, and no vector depends on the cut."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.atomic import Vocabulary
from recsys.data import Dataset
from recsys.data.batches import BatchLoader, assemble, request_rows, training_rows
from recsys.data.histories import histories
from recsys.data.ragged import Ragged
from recsys.data.records import Events, Requests
from recsys.models import HSTU, BERT4Rec, SASRec, SearchSASRec, eSASRec

ITEMS, LONGEST = 5, 6
SIZE = {"n_items": ITEMS + 1, "max_len": LONGEST, "dim": 8, "layers": 2, "heads": 2}
NETWORKS = {
    "SASRec": lambda: SASRec(**SIZE, inner_dim=16),
    "BERT4Rec": lambda: BERT4Rec(**{**SIZE, "max_len": LONGEST + 1}, inner_dim=16),
    "SearchSASRec": lambda: SearchSASRec(**SIZE, inner_dim=16, buckets=97),
    "HSTU": lambda: HSTU(**SIZE),
    "eSASRec": lambda: eSASRec(**SIZE, inner_dim=16, time_bias=True),
}


@dataclass(frozen=True)
class Clicks:
    """Items of each user in order of time, 0 for one that is not in the vocabulary; all of them are training clicks."""

    users: list[list[int]]

    def dataset(self) -> Dataset:
        user = np.repeat(np.arange(len(self.users)), [len(items) for items in self.users])
        order = np.concatenate([np.arange(len(items)) for items in self.users])
        item = np.array([item for items in self.users for item in items], np.int64)
        time, split = order**3, np.zeros_like(user)
        target = Ragged(np.arange(len(user) + 1), item)
        return Dataset(
            name="clicks",
            items=Vocabulary(list("abcde")),
            users=[str(i) for i in range(len(self.users))],
            events=Events(user, item, time, split),
            requests=Requests([""] * len(user), user, time, split, order, target, None, None),
            searches=None,
            synthetic=True,
            fingerprint="",
        )


@st.composite
def cuts(draw):
    """Clicks of a few users, a longest history and a stride."""
    users = draw(st.lists(st.lists(st.integers(0, ITEMS), min_size=1, max_size=25), min_size=1, max_size=4))
    max_len = draw(st.integers(1, LONGEST))
    return Clicks(users), max_len, draw(st.integers(1, max_len))


@settings(max_examples=60, deadline=None)
@given(cuts(), st.integers(1, 7), st.integers(0, 3), st.integers(0, 2))
def test_every_click_is_a_target_once_in_an_epoch(cut, batch_size, seed, epoch):
    clicks, max_len, stride = cut
    data = clicks.dataset()
    known = histories(data, "train")
    rows = training_rows(known, max_len, stride)
    loader = BatchLoader(data, known, rows, batch_size, training=True, seed=seed, epoch=epoch)
    trained = [
        pair
        for batch in loader
        for pair in zip(batch.request[batch.target_point].tolist(), batch.target_item.tolist(), strict=True)
    ]
    # a request here is one click: a user and a place in the history
    assert sorted(trained) == [(i, item) for i, item in enumerate(data.events.item.tolist()) if item]


@settings(max_examples=60, deadline=None)
@given(cuts())
def test_every_known_click_of_a_user_with_several_stands_in_a_row_that_the_cloze_can_mask(cut):
    clicks, max_len, stride = cut
    data = clicks.dataset()
    known = histories(data, "train")
    rows = training_rows(known, max_len, stride)
    reached = set()
    for user, start, end in zip(rows.user, rows.start, rows.end, strict=True):
        length = known.item.lengths[user]
        reached |= {(int(user), place) for place in range(start, min(end + 1, length))}  # and the item that follows
    assert reached == {(user, place) for user, n in enumerate(known.item.lengths) for place in range(n)}


def test_prefixes_are_made_when_they_are_trained_and_never_kept():
    """A target with 50 items before it costs what one with a single item costs: a few numbers."""
    data = Clicks([[1 + i % ITEMS for i in range(3000)]]).dataset()
    known = histories(data, "train")

    def kept(max_len):
        rows = training_rows(known, max_len, 1)
        assert len(rows) > 2900
        arrays = [rows.user, rows.start, rows.end, rows.point.offsets, rows.point.values, *rows.search]
        return sum(array.nbytes for array in arrays)

    assert kept(50) <= kept(1) < 3000 * 10 * 8


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    network = NETWORKS[request.param]().double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return network


@settings(max_examples=25, deadline=None)
@given(cuts())
@torch.no_grad()
def test_a_point_is_what_its_part_of_the_window_is_alone(network, cut):
    clicks, max_len, stride = cut
    data = clicks.dataset()
    known = histories(data, "train")
    rows = training_rows(known, max_len, stride)
    batch = assemble(data, known, rows, np.arange(len(rows)), training=True)
    together = network.encode(batch)
    for point in range(0, len(batch), 3):
        row, end = batch.point_row[point], batch.point_position[point] + 1
        alone = replace(
            batch,
            item=batch.item[row, None, :end],
            timestamp=batch.timestamp[row, None, :end],
            request_timestamp=batch.request_timestamp[row, None, :end],
            point_row=torch.tensor([0]),
            point_position=end[None] - 1,
        )
        torch.testing.assert_close(network.encode(alone)[0], together[point], rtol=0, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(cuts(), st.data())
@torch.no_grad()
def test_what_lies_before_the_window_changes_no_answer(network, cut, data):
    clicks, max_len, _ = cut
    items = [item for item in clicks.users[0] if item]
    older = data.draw(st.lists(st.integers(1, ITEMS), max_size=9))

    def answer(before):
        made = Clicks([[*before, *items, 1]]).dataset()
        known = histories(made, "train")
        rows = request_rows(known, max_len)
        batch = assemble(made, known, rows, np.array([len(rows) - 1]), training=False)
        pace = torch.arange(batch.item.shape[1])[None]  # the same times for the same items
        return network.encode(replace(batch, timestamp=7 * pace, request_timestamp=7 * pace + 7))

    filled = [1] * max(0, max_len - len(items))
    torch.testing.assert_close(answer([*older, *filled]), answer(filled), rtol=0, atol=1e-10)
