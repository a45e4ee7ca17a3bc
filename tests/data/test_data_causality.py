"""The causality property, end to end: what happens at or after a request's start changes nothing of its vector.

Random worlds with plenty of ties; random weights, the search branch included; arbitrary edits of the future.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recsys.atomic import Vocabulary
from recsys.data import SPLITS, Dataset
from recsys.data.batches import assemble, request_rows, training_rows
from recsys.data.histories import histories
from recsys.data.ragged import Ragged, offsets_of
from recsys.data.records import Events, Requests, Searches
from recsys.models import HSTU, BERT4Rec, SASRec, SearchBERT4Rec, SearchSASRec, SESRec, UniSAR, eSASRec
from recsys.models.text import gram_matrix

USERS, ITEMS, END = 2, 6, 12
VALID_FROM, TEST_FROM = 9, 11
TEXTS = ["red", "a blue hat", "猫", "x", "socks and shoes"]
USER, TIME = st.integers(0, USERS - 1), st.integers(0, END)
SHORT, WHOLE = 2, 60  # histories that are cut, and that never are
SIZE = {"n_items": ITEMS + 1, "dim": 8, "layers": 2, "heads": 2}


class Interleaved(SearchSASRec):
    def __init__(self, **settings):
        super().__init__(fusion="interleave", **settings)


class Crossing(SearchSASRec):
    def __init__(self, **settings):
        super().__init__(fusion="cross", **settings)


SEARCHING = (SearchSASRec, Interleaved, Crossing, SearchBERT4Rec, SESRec, UniSAR)
MORE = {
    SASRec: {"inner_dim": 16},
    BERT4Rec: {"inner_dim": 16},
    HSTU: {},
    eSASRec: {"inner_dim": 16, "time_bias": True},
    **{kind: {"inner_dim": 16, "buckets": 97} for kind in SEARCHING},
}
CAUSAL = [kind for kind in MORE if kind is not BERT4Rec]  # these are trained on the vectors of a window's points
PLAIN = [kind for kind in MORE if kind not in SEARCHING]
TIMED = {HSTU, eSASRec}


@dataclass(frozen=True)
class Click:
    user: int
    time: int
    item: int  # 0: not in the vocabulary
    split: int


@dataclass(frozen=True)
class Search:
    user: int
    time: int
    text: int
    type: int
    split: int


@dataclass(frozen=True)
class Request:
    user: int
    time: int
    id: str

    @property
    def split(self):
        return 0 if self.time < VALID_FROM else 1 if self.time < TEST_FROM else 2


@dataclass(frozen=True)
class World:
    clicks: tuple[Click, ...]
    searches: tuple[Search, ...]
    requests: tuple[Request, ...]

    def dataset(self) -> Dataset:
        clicks, searches, requests = (
            sorted(rows, key=lambda row: (row.user, row.time)) for rows in (self.clicks, self.searches, self.requests)
        )
        targets = [[c.item for c in clicks if c.user == r.user and c.time == r.time] for r in requests]
        grams = np.pad(gram_matrix(TEXTS), ((0, 0), (0, 4)))
        return Dataset(
            name="world",
            items=Vocabulary(list("abcdef")),
            users=[str(user) for user in range(USERS)],
            events=Events(*(column(clicks, name) for name in ("user", "item", "time", "split"))),
            requests=Requests(
                id=[r.id for r in requests],
                user=column(requests, "user"),
                timestamp=column(requests, "time"),
                split=column(requests, "split"),
                order=None,
                target=Ragged(
                    offsets_of(np.array([len(t) for t in targets])), np.array([i for t in targets for i in t], np.int64)
                ),
                candidate=None,
                clicked=None,
            ),
            searches=Searches(
                *(column(searches, name) for name in ("user", "time", "split", "type")),
                gram=grams[column(searches, "text")],
            ),
            synthetic=True,
            fingerprint="",
        )


def column(rows, name):
    return np.array([getattr(row, name) for row in rows], np.int64)


def clicks(time=TIME, user=USER):
    return st.builds(Click, user, time, st.integers(0, ITEMS), st.sampled_from([0, 0, 0, 1, 2]))


def searches(time=TIME, user=USER):
    return st.builds(
        Search, user, time, st.integers(0, len(TEXTS) - 1), st.integers(0, 8), st.sampled_from([0, 0, 0, 1, 2])
    )


@st.composite
def worlds(draw):
    asked = draw(st.lists(st.tuples(USER, TIME), min_size=3, max_size=9))
    return World(
        tuple(draw(st.lists(clicks(), min_size=6, max_size=16))),
        tuple(draw(st.lists(searches(), min_size=3, max_size=10))),
        tuple(Request(user, time, f"r{i}") for i, (user, time) in enumerate(asked)),
    )


@st.composite
def futures(draw, world, request):
    """The world with everything of the request's user at or after its start redrawn, and all that others do.

    Either a rich future, or the barest that can betray itself: a click, a search and the next request.
    """
    bare = draw(st.booleans())
    user, others, start = st.just(request.user), st.just(1 - request.user), request.time
    later = st.integers(start, start + 1) if bare else st.one_of(st.just(start), st.integers(start, END + 3))

    def redrawn(rows, make):
        past = [row for row in rows if row.user == request.user and row.time < start]
        kept = [row for row in rows if row not in past and not bare and draw(st.booleans())]
        mine = draw(st.lists(make(later, user), min_size=1, max_size=1 if bare else 5))
        return (*past, *kept, *mine, *draw(st.lists(make(user=others), max_size=3)))

    asked = [r for r in world.requests if r is request or r.time < start or (not bare and draw(st.booleans()))]
    times = [start + 2] if bare else draw(st.lists(later, min_size=1, max_size=3))
    more = [Request(request.user, time, f"n{i}") for i, time in enumerate(times)]
    return World(redrawn(world.clicks, clicks), redrawn(world.searches, searches), (*asked, *more))


def prediction(world, request, max_len, margin=0):
    """The batch of a request that is answered alone when its split is evaluated."""
    data = world.dataset()
    known = histories(data, SPLITS[request.split], margin)
    rows = request_rows(known, max_len)
    (row,) = (i for i, point in enumerate(rows.point.values) if data.requests.id[known.request[point]] == request.id)
    return assemble(data, known, rows, np.array([row]), training=False)


def training(world, request, margin=0):
    """The batch of the window that a training request lies in, and which of its points it is."""
    data = world.dataset()
    known = histories(data, "train", margin)
    rows = training_rows(known, WHOLE, 1)
    (row,) = (i for i in range(len(rows)) if request.id in [data.requests.id[known.request[p]] for p in rows.point[i]])
    batch = assemble(data, known, rows, np.array([row]), training=True)
    (point,) = (i for i, r in enumerate(batch.request) if data.requests.id[r] == request.id)
    return batch, point


@torch.no_grad()
def vector(network, batch, point=0):
    """What a point is told: its vector, and the ratings of all items where the model has ratings of its own."""
    ratings = network.candidate_scores(batch, torch.arange(1, ITEMS + 1).expand(len(batch), ITEMS))
    vectors = network.encode(batch)
    return (vectors if ratings is None else torch.cat([vectors, ratings], 1))[point]


def differ(network, before, after, point=0):
    return (vector(network, before, point) - vector(network, after, point)).abs().max() > 1e-9


@pytest.fixture(scope="module")
def networks():
    """By kind and longest history. In double precision, an effect and a rounding error are many orders apart."""
    made = {}
    for kind, max_len in itertools.product(MORE, [SHORT, WHOLE]):
        network = kind(**SIZE, max_len=max_len, **MORE[kind]).double().eval()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3)
        made[kind, max_len] = network
    return made


@pytest.mark.parametrize("max_len", [SHORT, WHOLE])
@settings(max_examples=50, deadline=None)
@given(world=worlds(), data=st.data())
def test_the_future_changes_no_prediction(networks, max_len, world, data):
    request = data.draw(st.sampled_from(world.requests))
    other = data.draw(futures(world, request))
    before, after = (prediction(w, request, max_len) for w in (world, other))
    for kind in MORE:
        network = networks[kind, max_len]
        assert torch.equal(vector(network, before), vector(network, after)), kind


@settings(max_examples=60, deadline=None)
@given(world=worlds(), data=st.data())
def test_the_future_changes_no_training_point(networks, world, data):
    """Up to rounding: the window holds the whole history and grows with it, and so do the matrices."""
    asked = [request for request in world.requests if request.split == 0 and items_before(world, request, request.time)]
    assume(asked)
    request = data.draw(st.sampled_from(asked))
    other = data.draw(futures(world, request))
    before, after = training(world, request), training(other, request)
    for kind in CAUSAL:
        network = networks[kind, WHOLE]
        torch.testing.assert_close(vector(network, *before), vector(network, *after), rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(world=worlds(), data=st.data())
def test_later_splits_change_no_training_point_whenever_they_happen(networks, world, data):
    asked = [request for request in world.requests if request.split == 0]
    assume(asked)
    request = data.draw(st.sampled_from(asked))
    more = data.draw(st.lists(clicks(), max_size=4)), data.draw(st.lists(searches(), max_size=4))
    clicked, searched = (
        (*(row for row in rows if row.split == 0), *(replace(row, split=1 + row.split // 2) for row in added))
        for rows, added in zip((world.clicks, world.searches), more, strict=True)
    )
    before, after = training(world, request), training(World(clicked, searched, world.requests), request)
    for kind in CAUSAL:
        assert torch.equal(vector(networks[kind, WHOLE], *before), vector(networks[kind, WHOLE], *after)), kind


@settings(max_examples=30, deadline=None)
@given(world=worlds(), data=st.data())
def test_another_item_in_the_visible_past_changes_the_prediction(networks, world, data):
    pairs = [
        (request, i)
        for request in world.requests
        for i, c in enumerate(world.clicks)
        if c.user == request.user and c.time < request.time and c.item and c.split <= request.split
    ]
    assume(pairs)
    request, i = data.draw(st.sampled_from(pairs))
    changed = replace(world.clicks[i], item=1 + world.clicks[i].item % ITEMS)
    other = replace(world, clicks=(*world.clicks[:i], changed, *world.clicks[i + 1 :]))
    before, after = (prediction(w, request, WHOLE) for w in (world, other))
    for kind in MORE:
        assert differ(networks[kind, WHOLE], before, after), kind


@settings(max_examples=60, deadline=None)
@given(world=worlds(), data=st.data())
def test_a_request_is_trained_as_it_would_be_answered(networks, world, data):
    """In its window as alone in a row; of several requests in one place the earliest, whose time the others share."""
    opened = {}
    for asked in sorted(world.requests, key=lambda r: (r.user, r.time)):
        if asked.split == 0 and items_before(world, asked, asked.time):
            opened.setdefault((asked.user, items_before(world, asked, asked.time)), asked)
    assume(opened)
    request = data.draw(st.sampled_from(list(opened.values())))
    trained_, answered = training(world, request), prediction(world, request, WHOLE)
    for kind in set(CAUSAL) & set(PLAIN):  # the others know more searches when they are asked than when trained
        network = networks[kind, WHOLE]
        torch.testing.assert_close(vector(network, *trained_), vector(network, answered), rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(world=worlds(), data=st.data())
def test_the_time_of_a_visible_click_changes_the_prediction_of_those_who_read_times(networks, world, data):
    request = data.draw(st.sampled_from(world.requests))
    seen = [
        c
        for c in world.clicks
        if c.user == request.user and c.time < request.time and c.item and c.split <= request.split
    ]
    assume(len({c.time for c in seen}) > 1)  # attention over one time alone is the same at any
    first = [c for c in seen if c.time == min(c.time for c in seen)]
    earlier = tuple(replace(c, time=c.time - 50) if c in first else c for c in world.clicks)
    before, after = (prediction(w, request, WHOLE) for w in (world, replace(world, clicks=earlier)))
    assert torch.equal(before.item, after.item)
    for kind in PLAIN:  # to the others other queries may have become visible
        assert differ(networks[kind, WHOLE], before, after) == (kind in TIMED), kind


@settings(max_examples=30, deadline=None)
@given(world=worlds(), data=st.data())
def test_another_query_in_the_visible_past_changes_the_prediction(networks, world, data):
    pairs = [
        (request, i)
        for request in world.requests
        for i, s in enumerate(world.searches)
        if s.user == request.user and s.time < request.time and s.split <= request.split
    ]
    assume(pairs)
    request, i = data.draw(st.sampled_from(pairs))
    changed = replace(world.searches[i], text=(world.searches[i].text + 1) % len(TEXTS))
    other = replace(world, searches=(*world.searches[:i], changed, *world.searches[i + 1 :]))
    before, after = (prediction(w, request, WHOLE) for w in (world, other))
    for kind in SEARCHING:
        assert differ(networks[kind, WHOLE], before, after), kind


@settings(max_examples=30, deadline=None)
@given(world=worlds(), data=st.data())
def test_the_age_of_a_visible_search_changes_the_prediction(networks, world, data):
    pairs = [
        (request, s)
        for request in world.requests
        for s in world.searches
        if s.user == request.user and s.time < request.time and s.split <= request.split
    ]
    assume(pairs)
    request, oldest = data.draw(st.sampled_from(pairs))
    seen = [s for asked, s in pairs if asked is request]
    oldest = min(seen, key=lambda s: s.time)
    other = replace(world, searches=tuple(replace(s, time=s.time - 50) if s is oldest else s for s in world.searches))
    before, after = (prediction(w, request, WHOLE) for w in (world, other))
    for kind in SEARCHING:
        assert differ(networks[kind, WHOLE], before, after), kind


@settings(max_examples=30, deadline=None)
@given(world=worlds(), data=st.data())
def test_with_a_margin_a_search_shortly_before_the_request_is_not_seen(networks, world, data):
    """In prediction and in training, as nothing within the margin and all behind it were there."""
    request, margin = data.draw(st.sampled_from(world.requests)), data.draw(st.integers(1, 4))
    kept = [s for s in world.searches if s.user != request.user or s.time < request.time - margin]
    late = data.draw(st.lists(searches(st.integers(request.time - margin, END), st.just(request.user)), max_size=4))
    other = replace(world, searches=(*kept, *late))
    before, after = (prediction(w, request, WHOLE, margin) for w in (world, other))
    for kind in SEARCHING:
        assert torch.equal(vector(networks[kind, WHOLE], before), vector(networks[kind, WHOLE], after)), kind
    if request.split == 0 and items_before(world, request, request.time):
        before, after = (training(w, request, margin) for w in (world, other))
        for kind in SEARCHING:
            one, two = (vector(networks[kind, WHOLE], *batch) for batch in (before, after))
            torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(world=worlds(), data=st.data())
def test_without_a_visible_search_the_neutral_ones_are_their_backbones(networks, world, data):
    request = data.draw(st.sampled_from(world.requests))
    other = replace(
        world, searches=tuple(s for s in world.searches if s.user != request.user or s.time >= request.time)
    )
    batch = prediction(other, request, WHOLE)
    for kind, plain in {SearchSASRec: SASRec, Crossing: SASRec, SearchBERT4Rec: BERT4Rec}.items():
        network, backbone = networks[kind, WHOLE], networks[plain, WHOLE]
        state = {name: value for name, value in network.state_dict().items() if not name.startswith("query_")}
        inside = plain(**backbone.hyperparameters).double().eval()
        inside.load_state_dict(state)
        assert torch.equal(vector(network, batch), vector(inside, batch)), kind


@settings(max_examples=30, deadline=None)
@given(world=worlds(), data=st.data())
def test_a_training_point_sees_a_query_as_soon_as_a_place_has_opened_after_it(networks, world, data):
    """Seen: searches before an earlier or the own place opened, behind at least one item. Changing one shows."""
    pairs = [(r, i) for r in world.requests if r.split == 0 for i in visible_searches(world, r)]
    assume(pairs)
    request, i = data.draw(st.sampled_from(pairs))
    changed = replace(world.searches[i], text=(world.searches[i].text + 1) % len(TEXTS))
    other = replace(world, searches=(*world.searches[:i], changed, *world.searches[i + 1 :]))
    (before, point), (after, _) = training(world, request), training(other, request)
    for kind in SEARCHING:
        assert differ(networks[kind, WHOLE], before, after, point), kind


def items_before(world, request, time):
    return sum(c.user == request.user and c.time < time and c.item > 0 and c.split == 0 for c in world.clicks)


def visible_searches(world, request):
    """By the words of the rule: a search enters at the first place that opens after it, if items stand before that."""
    opened = {}  # place → when its earliest request began
    for asked in sorted(world.requests, key=lambda r: r.time):
        if asked.user == request.user and asked.split == 0:
            opened.setdefault(items_before(world, request, asked.time), asked.time)
    here, found = items_before(world, request, request.time), []
    for i, s in enumerate(world.searches):
        if s.user == request.user and s.split == 0:
            place = min((place for place, time in opened.items() if time > s.time), default=None)
            if place is not None and 0 < place <= here:
                found.append(i)
    return found
