"""The day of a world with Qilin's published statistics, at any fraction of its size."""

from dataclasses import dataclass

import numpy as np

from recsys.qilin.protocol import SEARCH_TEST_START
from recsys.qilin.release import ROWS
from recsys.qilin.synthetic import choices, exposures, phrases
from recsys.qilin.synthetic.catalogue import FOUND, HEAD, PAST, TAIL, Catalogue, catalogue
from recsys.qilin.synthetic.choices import Browsing, Preferences, Searches
from recsys.qilin.synthetic.log import (
    Channel,
    Day,
    Language,
    Ragged,
    Streams,
    clicks_of,
    skewed_clocks,
    together,
)
from recsys.qilin.synthetic.profile import PUBLISHED
from recsys.qilin.synthetic.visits import Counts, Visits, visits

USERS, NOTES, TOPICS = ROWS["user_feat"], ROWS["notes"], 300
TRAIN, TEST = ROWS["recommendation_train"], ROWS["recommendation_test"]
COUNTS = Counts(rec=TRAIN + TEST, search_before=ROWS["search_train"], search_after=ROWS["search_test"], dqa=ROWS["dqa"])
SKEWED = 0.005  # share of users whose device clock is days behind
_FUZZ = 2_700  # seconds over which the cut of the recommendation requests is blurred
_UNLOGGED = 0.43  # clicks elsewhere in the app for each logged one
_REMEMBERED = 0.2  # share of the clicks on notes found by questions that reach later windows
_REVISITED = (0.015, 0.2)  # share of clicks in recommendation and in search that are clicked once more
_RETRIEVED = 100  # notes that a retriever returns


@dataclass(frozen=True)
class Published:
    """What the day was drawn from: the notes, what users like, and what they searched for and clicked."""

    notes: Catalogue
    liked: Preferences
    search: Searches
    browsing: Browsing


def day(scale: float, influence: float, streams: Streams) -> tuple[Day, Published]:
    """The log of a world of `scale` times Qilin's size, and the world itself."""
    users, topics = max(round(USERS * scale), 5), max(round(TOPICS * scale**0.5), 8)
    notes = catalogue(round(NOTES * scale), topics, scale, streams.world[0])
    liked = choices.preferences(users, notes.topics, streams.world[1])
    came = visits(users, _counts(scale), SEARCH_TEST_START, streams.world[2])
    found = choices.searches(came, liked, notes, streams.world[3])
    browsed = choices.browsing(came, found.requests, liked, notes, influence, streams.world[4])
    skew = skewed_clocks(users, SKEWED, streams.people)
    about = browsed.requests if influence else browsed.requests.unsteered()
    rec = Channel(
        browsed.requests,
        exposures.show(exposures.REC, about, liked, notes, skew, streams.rec, searched=False),
        _sessions(came, ~came.search) + came.session.max() + 1,
    )
    search = Channel(
        found.requests,
        exposures.show(exposures.SEARCH, found.requests, liked, notes, skew, streams.search, searched=True),
        _sessions(came, came.search),
    )
    lexicon = phrases.lexicon(topics, streams.texts)
    topic, pool = notes.topic(streams.shuffle), notes.pool()
    dqa = came.dqa[came.search]
    latest = _latest(browsed.requests.start, TEST / (TRAIN + TEST), streams.rec)
    titles = lexicon.titles(topic, streams.texts)
    queries = lexicon.queries(found.requests.topic, found.reformulates, streams.texts)
    log = Day(
        profile=PUBLISHED,
        topic=topic,
        video=np.where(pool == FOUND, 0.21, np.where((pool == HEAD) | (pool == TAIL), 0.41, 0.3)),
        skew=skew,
        rec=rec,
        latest=latest,
        search=search,
        dqa=dqa,
        retrieved=_retrieved(found.requests.topic, notes, streams.search),
        clicks=_remembered(browsed, rec, search, dqa, notes, liked, streams.lost),
        language=Language(titles, queries, lexicon.contents),
    )
    return log, Published(notes, liked, found, browsed)


def _counts(scale: float) -> Counts:
    return Counts(*(max(round(count * scale), 5) for count in vars(COUNTS).values()))


def _sessions(came: Visits, chosen: np.ndarray) -> np.ndarray:
    number: np.ndarray = np.unique(came.session[chosen], return_inverse=True)[1]
    return number


def _latest(start: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Marks the latest requests, by a blurred clock."""
    order = np.argsort(start + rng.integers(-_FUZZ, _FUZZ, len(start)), kind="stable")
    latest = np.zeros(len(start), bool)
    latest[order[round(len(start) * (1 - share)) :]] = True
    return latest


def _retrieved(topic: np.ndarray, notes: Catalogue, rng: np.random.Generator) -> Ragged:
    about = np.repeat(topic, _RETRIEVED)
    return Ragged(notes.any(FOUND, about, rng.random(len(about))), np.full(len(topic), _RETRIEVED))


def _remembered(
    browsed: Browsing,
    rec: Channel,
    search: Channel,
    dqa: np.ndarray,
    notes: Catalogue,
    liked: Preferences,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The clicks that windows may hold: most logged ones, revisits, and clicks that no log holds."""
    asked = np.repeat(dqa, search.shown.length)[search.shown.values["click"] == 1]
    kept = ~asked | (rng.random(len(asked)) < _REMEMBERED)
    user, time, note = clicks_of(search)
    parts = [clicks_of(rec), (user[kept], time[kept], note[kept])]
    for (user, time, note), share in zip(list(parts), _REVISITED, strict=True):
        again = rng.random(len(user)) < share
        parts.append((user[again], time[again] + rng.integers(5_000, 300_000, again.sum()), note[again]))
    logged = together(*parts)
    other = rng.random(len(logged[0])) < _UNLOGGED
    user, time = logged[0][other], logged[1][other] + rng.integers(-1_800_000, 1_800_000, other.sum())
    note = notes.any(PAST, liked.draw(user, rng.random(len(user))), rng.random(len(user)))
    return together(browsed.past, logged, (user, time, note))
