"""What the requests of the published world showed beside the clicked notes, where, and when."""

from dataclasses import dataclass

import numpy as np

from recsys.qilin.synthetic.catalogue import FOUND, Catalogue
from recsys.qilin.synthetic.choices import Preferences
from recsys.qilin.synthetic.log import EXPOSURE, SCREEN, Ragged, Requests, runs


@dataclass(frozen=True)
class Feed:
    """How a channel shows notes.

    Attributes:
        level, slope: of the logarithm of the number of unclicked notes, by that of the clicked ones; its spread is 0.8.
        on_topic: share of the unclicked notes that are on the searched topic, if there is one.
        liked: share of the unclicked notes that are on a topic by preference.
        headed: share of the unclicked notes that are head notes.
        top: how far up clicks gather: the power of a uniform place.
        later: probability that a request begins further down its feed.
        skips: probability that a position is left out.
        repeated: share of requests whose first screens are shown again, hours later and without clicks.
        unread: share of clicks without a page time.
        reopened: share of unclicked notes with a page time.
    """

    level: float
    slope: float
    on_topic: float
    liked: float
    headed: float
    top: float
    later: float
    skips: float
    repeated: float
    unread: float
    reopened: float


REC = Feed(
    level=1.475, slope=0.6, on_topic=0.25, liked=0.4, headed=0.15, top=1.15, later=0.11, skips=0.16, repeated=0.1,
    unread=0.47, reopened=0.01,
)  # fmt: skip
SEARCH = Feed(
    level=1.66, slope=0.6, on_topic=0.8, liked=0.0, headed=0.0, top=3.6, later=0.1, skips=0.18, repeated=0.02,
    unread=0.2, reopened=0.01,
)  # fmt: skip
_SPREAD = 0.8
_MOST = 300
_LATER = 12  # positions by which a later beginning lies further down, on average
_MIXED = 0.2  # share of the requests on a wrong clock in which the clock jumps once more
_DAY = 86_400_000


def show(
    feed: Feed,
    requests: Requests,
    liked: Preferences,
    notes: Catalogue,
    skew: np.ndarray,
    rng: np.random.Generator,
    *,
    searched: bool,
) -> Ragged:
    """Exposures of the requests, screen by screen, the clicked ones last within a screen as in the release."""
    count = len(requests.user)
    request, note, click = _shown(feed, requests, liked, notes, rng, searched=searched)
    place = np.where(click, rng.random(len(note)) ** feed.top, rng.random(len(note)))
    order = np.lexsort((place, request))
    request, note, click = request[order], note[order], click[order]
    length = np.bincount(request, minlength=count)
    rank = runs(np.zeros_like(length), length)
    screen = rank // SCREEN
    pause = rng.integers(5_000, 40_000, count)
    time = requests.start[request] * 1000 + screen * pause[request] + rank % SCREEN * rng.integers(1, 90, len(rank))
    exposures = np.empty(len(rank), EXPOSURE)
    exposures["note"], exposures["click"], exposures["screen"] = note, click, screen
    exposures["position"] = _positions(feed, length, rank, rng)
    exposures["time"] = time + _jumps(skew[requests.user], request, screen, rng)
    exposures["opened"] = rng.random(len(rank)) < np.where(click, 1 - feed.unread, feed.reopened)
    exposures = exposures[np.lexsort((rank, click, screen, request))]
    return _again(feed, requests.start, Ragged(exposures, length), rng)


def _shown(
    feed: Feed, requests: Requests, liked: Preferences, notes: Catalogue, rng: np.random.Generator, *, searched: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Request, note and click of each exposure; nothing is shown unclicked that its user clicked in the channel."""
    count = len(requests.user)
    clicks = np.bincount(requests.clicked_by, minlength=count)
    unclicked, clicks = clicks == 0, np.maximum(clicks, 1)
    level = feed.level + feed.slope * np.log(clicks) + _SPREAD * rng.standard_normal(count)
    others = np.clip(np.exp(level).astype(np.int64), 0, _MOST)
    others = np.maximum(others, unclicked)
    by = np.repeat(np.arange(count), others)
    kind, about = rng.random(len(by)), requests.topic[by]
    topic = np.searchsorted(np.cumsum(notes.topics), rng.random(len(by)) * notes.topics.sum(), "right")
    topic = np.where(kind < feed.on_topic + feed.liked, liked.draw(requests.user[by], rng.random(len(by))), topic)
    topic = np.where((kind < feed.on_topic) & (about >= 0), about, np.minimum(topic, len(notes.topics) - 1))
    if searched:
        note = notes.any(FOUND, topic, rng.random(len(by)))
    else:
        moment = np.empty(count)
        moment[np.argsort(requests.start, kind="stable")] = np.arange(count) / count
        note = notes.tail(topic, rng.random(len(by)), moment[by])
        note = np.where(rng.random(len(by)) < feed.headed, notes.head(topic, rng.random(len(by))), note)
    clicked = np.unique(requests.user[requests.clicked_by] * notes.notes + requests.clicked)
    mine = requests.user[by] * notes.notes + note
    known = clicked[np.minimum(np.searchsorted(clicked, mine), len(clicked) - 1)] == mine
    _, first = np.unique(by * notes.notes + note, return_index=True)
    fresh = np.zeros(len(by), bool)
    fresh[first] = True
    kept = fresh & (~known | unclicked[by])  # a request shows something, come what may
    request = np.concatenate([requests.clicked_by, by[kept]])
    note = np.concatenate([requests.clicked, note[kept]])
    return request, note, np.arange(len(request)) < len(requests.clicked)


def _positions(feed: Feed, length: np.ndarray, rank: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positions from 1, or from further down the feed, with gaps."""
    starts = np.where(rng.random(len(length)) < feed.later, rng.geometric(1 / _LATER, len(length)), 0)
    steps = 1 + (rng.random(len(rank)) < feed.skips)
    summed = np.cumsum(steps)
    first = np.repeat(np.cumsum(length) - length, length)
    positions: np.ndarray = summed - summed[first] + 1 + np.repeat(starts, length)
    return positions


def _jumps(skew: np.ndarray, request: np.ndarray, screen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Milliseconds by which a wrong clock changes within a request, so that its rows have mixed dates."""
    days = np.where((skew < 0) & (rng.random(len(skew)) < _MIXED), rng.integers(1, 6, len(skew)), 0)
    jumps: np.ndarray = np.where(screen > 0, -days[request] * _DAY, 0)
    return jumps


def _again(feed: Feed, start: np.ndarray, shown: Ragged, rng: np.random.Generator) -> Ragged:
    """Some requests end with their first two screens once more, hours later."""
    repeated = (rng.random(len(start)) < feed.repeated * 86_400 / 50_000) & (start < 50_000)
    delay = rng.integers(3_600_000, 8 * 3_600_000, len(start))
    request = np.repeat(np.arange(len(start)), shown.length)
    copied = repeated[request] & (shown.values["screen"] < 2)
    copies = shown.values[copied].copy()
    copies["click"], copies["opened"] = 0, False
    copies["time"] += delay[request[copied]]
    owner = np.concatenate([request, request[copied]])
    order = np.argsort(owner, kind="stable")
    return Ragged(np.concatenate([shown.values, copies])[order], np.bincount(owner, minlength=len(start)))
