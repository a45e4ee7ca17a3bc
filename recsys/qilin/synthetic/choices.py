"""What the users of the published world search for and click."""

from dataclasses import dataclass

import numpy as np

from recsys.qilin.synthetic.catalogue import FOUND, PAST, Catalogue
from recsys.qilin.synthetic.log import WINDOW, Requests, in_memory, topic_of
from recsys.qilin.synthetic.visits import Visits

MEMORY = 1_800  # seconds for which a search steers clicks in recommendation
SUCCESSION = 0.3  # probability that an unsteered click is on the topic of the click before it
LIKED = 0.6  # share of new searches for a topic by preference; the others are for any topic
HEADED = 0.32  # share of clicks on head notes
_CONCENTRATION = 9.0  # of users' preferences
_SPARSE = 0.05  # share of users with few clicks before the day
_FAR = 1_000_000  # seconds; farther apart than any two times of a day
# How a search follows another one in its session: adds, deletes, changes, repeats, or is about something else.
ADD, DELETE, CHANGE, REPEAT, OTHER = range(5)
_REFORMULATION = (0.1357, 0.0253, 0.4716, 0.0757, 0.2917)
# Clicks per request are 1 + a negative binomial variable: shape, and mean above 1.
_REC_SHAPE, _REC_FIRST, _REC_AFTER, _REC_MOST = 0.78, 3.42, 1.94, 51
_SEARCH_SHAPE, _SEARCH_MEAN, _SEARCH_MOST = 0.78, 2.98, 185
_DQA_SHAPE, _DQA_MEAN, _DQA_MOST, _DQA_NONE = 0.761, 2.17, 36, 0.137
_EVENING, _EVENING_FROM = 1.16, 78_300  # after 21:45 people click more


@dataclass(frozen=True)
class Preferences:
    """Probability `[users, topics]` of each topic, and the same summed up in one rising row for all users."""

    share: np.ndarray
    summed: np.ndarray

    def draw(self, user: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """A topic for each user, from `uniform` numbers in [0, 1)."""
        topics = self.share.shape[1]
        place = np.searchsorted(self.summed, user + uniform, "right") - user * topics
        drawn: np.ndarray = np.clip(place, 0, topics - 1)
        return drawn


@dataclass(frozen=True)
class Searches:
    """Searches: their requests, how each reformulates the one before (`OTHER`: does not), and the row of that one."""

    requests: Requests
    reformulates: np.ndarray


def preferences(users: int, weight: np.ndarray, rng: np.random.Generator) -> Preferences:
    """Dirichlet around the topics' weights."""
    gamma = rng.standard_gamma(_CONCENTRATION * weight, (users, len(weight))) + 1e-12
    share = gamma / gamma.sum(axis=1, keepdims=True)
    summed = np.cumsum(share, axis=1)
    summed /= summed[:, -1:]
    return Preferences(share, (summed + np.arange(users)[:, None]).ravel())


def searches(visits: Visits, liked: Preferences, notes: Catalogue, rng: np.random.Generator) -> Searches:
    """What is searched for, and what is clicked of what was found."""
    chosen = visits.search
    user, start, dqa = visits.user[chosen], visits.start[chosen], visits.dqa[chosen]
    count = len(user)
    kind = rng.choice(5, count, p=_REFORMULATION)
    kind[visits.after[chosen] != 1] = OTHER
    anything = np.searchsorted(np.cumsum(notes.topics), rng.random(count) * notes.topics.sum(), "right")
    fresh = np.where(rng.random(count) < LIKED, liked.draw(user, rng.random(count)), anything)
    topic = np.minimum(fresh, len(notes.topics) - 1)[_latest(kind == OTHER)]
    mean = np.where(dqa, _DQA_MEAN, _SEARCH_MEAN * np.where(start >= _EVENING_FROM, _EVENING, 1.0))
    shape = np.where(dqa, _DQA_SHAPE, _SEARCH_SHAPE)
    clicks = np.minimum(_clicks(shape, mean, rng), np.where(dqa, _DQA_MOST, _SEARCH_MOST))
    clicks = np.where(dqa & (rng.random(count) < _DQA_NONE), 0, clicks)
    by = np.repeat(np.arange(count), clicks)
    note = notes.any(FOUND, topic[by], rng.random(len(by)))
    pairs = np.unique(np.stack([by, note], axis=1), axis=0)
    pairs = pairs[np.lexsort((rng.random(len(pairs)), pairs[:, 0]))]
    return Searches(Requests(user, start, topic, pairs[:, 0], pairs[:, 1]), kind)


@dataclass(frozen=True)
class Browsing:
    """Recommendation: its requests, the topic `[n]` of the last click before each, and clicks from before the day."""

    requests: Requests
    before: np.ndarray
    past: tuple[np.ndarray, np.ndarray, np.ndarray]


def browsing(
    visits: Visits,
    search: Requests,
    liked: Preferences,
    notes: Catalogue,
    influence: float,
    rng: np.random.Generator,
) -> Browsing:
    """What is clicked of what was recommended; never the same note twice by a user."""
    chosen = ~visits.search
    user, start, users = visits.user[chosen], visits.start[chosen], len(liked.share)
    active = topic_of(search, in_memory(user, start, search, MEMORY))
    mean = np.where(visits.after[chosen] == 0, _REC_AFTER, _REC_FIRST)
    mean = mean * np.where(start >= _EVENING_FROM, _EVENING, 1.0)
    clicks = np.minimum(_clicks(np.full(len(user), _REC_SHAPE), mean, rng), _REC_MOST)
    sparse = rng.random(users) < _SPARSE
    before = np.where(sparse, rng.integers(0, 13, users), WINDOW)
    # The past is one long request of each user that ended before the day began; it is request -1.
    by = np.concatenate([np.full(before.sum(), -1), np.repeat(np.arange(len(user)), clicks)])
    who = np.concatenate([np.repeat(np.arange(users), before), user[by[before.sum() :]]])
    order = np.lexsort((np.arange(len(by)), who))
    by, who = by[order], who[order]
    day = by >= 0
    searched = np.where(day, active[by], -1)
    steered = (searched >= 0) & (rng.random(len(by)) < influence)
    opening = np.concatenate([[True], who[1:] != who[:-1]])
    fresh = steered | opening | (rng.random(len(by)) >= SUCCESSION)
    topic = np.where(steered, searched, liked.draw(who, rng.random(len(by))))[_latest(fresh)]

    moment = np.empty(len(user))
    moment[np.argsort(start, kind="stable")] = np.arange(len(user)) / len(user)
    moment = np.where(day, moment[by], 0.0)
    note = notes.tail(topic, rng.random(len(by)), moment)
    note = np.where(rng.random(len(by)) < HEADED, notes.head(topic, rng.random(len(by))), note)
    note = np.where(day, note, notes.any(PAST, topic, rng.random(len(by))))
    for _ in range(60):
        again = _repeats(who, note, notes.notes)
        if not len(again):
            break
        note[again] = notes.tail(topic[again], rng.random(len(again)), moment[again])
    kept = np.ones(len(by), bool)
    kept[_repeats(who, note, notes.notes)] = False

    reached = np.searchsorted(who * _FAR + by, user * _FAR + np.arange(len(user)), "left") - 1
    known = np.where(who[np.maximum(reached, 0)] == user, topic[np.maximum(reached, 0)], -1)
    old = kept & ~day
    seconds = -60 * _from_the_end(who[old]) - rng.integers(0, 40, old.sum())
    logged = kept & day
    return Browsing(
        Requests(user, start, active, by[logged], note[logged]),
        np.where(reached >= 0, known, -1),
        (who[old], seconds * 1000, note[old]),
    )


def _clicks(shape: np.ndarray, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drawn: np.ndarray = 1 + rng.negative_binomial(shape, shape / (shape + mean))
    return drawn


def _latest(marked: np.ndarray) -> np.ndarray:
    """Index of the latest marked element up to each; the first counts as marked."""
    found: np.ndarray = np.maximum.accumulate(np.where(marked, np.arange(len(marked)), 0))
    return found


def _repeats(user: np.ndarray, note: np.ndarray, notes: int) -> np.ndarray:
    """Indices of clicks on a note that the same user has clicked before."""
    pairs = user * notes + note
    first = np.unique(pairs, return_index=True)[1]
    later = np.ones(len(pairs), bool)
    later[first] = False
    return np.flatnonzero(later)


def _from_the_end(user: np.ndarray) -> np.ndarray:
    """Place of each element in its user's run, counted from the run's end, which is 1."""
    last = np.searchsorted(user, user, "right")
    place: np.ndarray = last - np.arange(len(user))
    return place
