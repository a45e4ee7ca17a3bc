"""A small world in which searching changes what people click next, with a vocabulary to be learnt from few users.

Notes have topics. Recommendation draws from one pool of notes and search from another, so that (as in Qilin) the ids
of searched notes tell a recommender nothing: what a search does to the next clicks can only be learnt from its words.
Every stage has a random stream of its own, so that a world without influence differs in its clicks alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from recsys.qilin.synthetic.log import Requests, in_memory, in_order, topic_of

TOPICS = 20
SLOT = 300  # seconds; a user starts at most one recommendation request in each
MEMORY = 2_100  # seconds for which a search steers clicks in recommendation
SUCCESSION = 0.3  # probability that an unsteered click follows from the one before
SEARCH_FIRST = 0.3  # probability that a recommendation request is preceded by a search of its own
MAX_CLICKS = 12
_CLICKS_OF_USER = 31  # in recommendation, those from before the day included
# Relative request rate of each hour of the day.
_RATE = np.repeat([0.9, 0.2, 0.7, 1.0, 1.3, 1.5, 1.45], [2, 4, 3, 9, 3, 1, 2])


@dataclass(frozen=True)
class Notes:
    """Topic and weight `[notes]`; the first `rec` notes are recommended, the others only found by searching.

    `successor` `[rec]` is the note that tends to be clicked after each.
    """

    topic: np.ndarray
    weight: np.ndarray
    rec: int
    successor: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    @cached_property
    def _shelves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Notes in the order of their shelf (pool and topic), the shelf of each, and the weights summed up to each."""
        shelf = self.topic + TOPICS * (np.arange(len(self.topic)) >= self.rec)
        order = np.argsort(shelf, kind="stable")
        return order, shelf[order], np.concatenate([[0.0], np.cumsum(self.weight[order])])

    def draw(self, topic: np.ndarray, uniform: np.ndarray, *, searched: bool) -> np.ndarray:
        """A note of each topic `[n]` by weight, from `uniform` numbers in [0, 1)."""
        order, shelf, summed = self._shelves
        wanted = topic + TOPICS * searched
        first, last = np.searchsorted(shelf, wanted, "left"), np.searchsorted(shelf, wanted, "right")
        target = summed[first] + uniform * (summed[last] - summed[first])
        drawn: np.ndarray = order[np.clip(np.searchsorted(summed, target, "right") - 1, first, last - 1)]
        return drawn


@dataclass(frozen=True)
class World:
    """Notes, users' preferences `[users, topics]`, clicks from before the day (user, second, note), and the day.

    `dqa` `[searches]` marks the searches that are asked as questions; only these may end without a click.
    """

    notes: Notes
    preference: np.ndarray
    past: tuple[np.ndarray, np.ndarray, np.ndarray]
    rec: Requests
    search: Requests
    dqa: np.ndarray


def create(
    users: int, influence: float, streams: Sequence[np.random.Generator], clicks_per_note: float | None = None
) -> World:
    """A world. `influence` is the probability that a click after a search is on the searched topic."""
    notes = _notes(users, clicks_per_note, streams[0])
    preference = _preferences(users, streams[1])
    rec_user, rec_start, search_user, search_start = _schedule(users, streams[2])
    search, dqa = _searches(search_user, search_start, preference, notes, streams[3])
    topic = topic_of(search, in_memory(rec_user, rec_start, search, MEMORY))
    past, rec = _recommendations(rec_user, rec_start, topic, preference, notes, influence, streams[4])
    return World(notes, preference, past, rec, search, dqa)


def search_prior(preference: np.ndarray) -> np.ndarray:
    """Probability `[n, topics]` of what users search for: half by preference, half for what is none of their own."""
    return 0.5 * preference + 0.5 * _others(preference)


def choose_topic(preference: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """A topic for each row of probabilities `[n, topics]`, from `uniform` numbers `[n]` in [0, 1)."""
    topic: np.ndarray = np.minimum((np.cumsum(preference, axis=1) <= uniform[:, None]).sum(axis=1), TOPICS - 1)
    return topic


def _notes(users: int, clicks_per_note: float | None, rng: np.random.Generator) -> Notes:
    # About 80 clicks for each recommended note, and hardly two for a searched one (Qilin: 98 % are clicked once).
    rec, searched = int(np.clip(0.3 * users, 400, 2_400)), max(30 * users, 2_400)
    if clicks_per_note is not None:
        rec = max(TOPICS, round(_CLICKS_OF_USER * users / clicks_per_note))
    # Dealt out in turn, so that no topic is empty in either pool.
    topic = np.concatenate([rng.permutation(np.arange(size) % TOPICS) for size in (rec, searched)])
    weight = np.concatenate([rng.lognormal(0, 0.4, rec), np.ones(searched)])
    notes = Notes(topic, weight, rec)
    return replace(notes, successor=notes.draw(topic[:rec], rng.random(rec), searched=False))


def _preferences(users: int, rng: np.random.Generator) -> np.ndarray:
    favourites = np.argsort(rng.random((users, TOPICS)), axis=1)[:, :3]
    preference = np.full((users, TOPICS), 0.1 / TOPICS)
    shares = 0.9 * rng.dirichlet(np.ones(3), users)
    np.put_along_axis(preference, favourites, np.take_along_axis(preference, favourites, 1) + shares, axis=1)
    return preference


def _schedule(users: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    count = np.clip(np.rint(rng.lognormal(np.log(8) - 0.18, 0.6, users)), 2, 40).astype(np.int64)
    rate = np.repeat(_RATE / _RATE.sum(), 3600 // SLOT)
    # The slots with the largest Gumbel-perturbed rates are a draw without replacement, all users at once.
    ranked = np.argsort(-(np.log(rate) + rng.gumbel(size=(users, len(rate)))), axis=1)
    chosen = np.arange(len(rate)) < count[:, None]
    user = np.repeat(np.arange(users), count)
    start = ranked[chosen] * SLOT + rng.integers(0, SLOT // 2, len(user))
    before = rng.random(len(user)) < SEARCH_FIRST
    earlier = start[before] - rng.integers(60, 1200, before.sum())
    extra = rng.poisson(2.2, users)
    extra_user = np.repeat(np.arange(users), extra)
    slot = np.searchsorted(np.cumsum(rate), rng.random(len(extra_user)) * rate.sum())
    extra_start = np.minimum(slot, len(rate) - 1) * SLOT + rng.integers(0, SLOT, len(extra_user))
    search_user, search_start = np.concatenate([user[before], extra_user]), np.concatenate([earlier, extra_start])
    today = search_start >= 0
    return (*_sorted(user, start), *_sorted(search_user[today], search_start[today]))


def _sorted(user: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = in_order(user, start)
    return user[order], start[order]


def _click_counts(requests: int, rng: np.random.Generator) -> np.ndarray:
    return np.minimum(rng.geometric(1 / 3, requests), MAX_CLICKS)


def _searches(
    user: np.ndarray, start: np.ndarray, preference: np.ndarray, notes: Notes, rng: np.random.Generator
) -> tuple[Requests, np.ndarray]:
    liked = preference[user]
    topics = [choose_topic(distribution, rng.random(len(user))) for distribution in (liked, _others(liked))]
    topic = np.where(rng.random(len(user)) < 0.5, *topics)
    dqa = rng.random(len(user)) < 0.05
    answered = dqa & (rng.random(len(user)) < 0.14)
    clicked_by = np.repeat(np.arange(len(user)), np.where(answered, 0, _click_counts(len(user), rng)))
    clicked = notes.draw(topic[clicked_by], rng.random(len(clicked_by)), searched=True)
    pairs = np.unique(np.stack([clicked_by, clicked], axis=1), axis=0)
    return Requests(user, start, topic, pairs[:, 0], pairs[:, 1]), dqa


def _others(preference: np.ndarray) -> np.ndarray:
    """All topics but the user's own, alike."""
    new = np.where(preference > 0.1 / TOPICS, 0.0, 1.0)
    others: np.ndarray = new / new.sum(axis=1, keepdims=True)
    return others


def _recommendations(
    user: np.ndarray,
    start: np.ndarray,
    active: np.ndarray,
    preference: np.ndarray,
    notes: Notes,
    influence: float,
    rng: np.random.Generator,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], Requests]:
    users = len(preference)
    counts, before = _click_counts(len(user), rng), rng.integers(0, 16, users)
    # The past is one long request of each user that ends before the day begins; it is request -1.
    by = np.concatenate([np.full(before.sum(), -1), np.repeat(np.arange(len(user)), counts)])
    who = np.concatenate([np.repeat(np.arange(users), before), user[by[before.sum() :]]])
    order = np.lexsort((np.arange(len(by)), who))
    by, who = by[order], who[order]
    searched = np.where(by >= 0, active[by], -1)
    steered = (searched >= 0) & (rng.random(len(by)) < influence)
    following = rng.random(len(by)) < SUCCESSION
    topic = np.where(steered, searched, choose_topic(preference[who], rng.random(len(by))))
    drawn = notes.draw(topic, rng.random(len(by)), searched=False)
    again = notes.draw(topic, rng.random(len(by)), searched=False)
    clicked = _walk(who, drawn, again, following & ~steered, notes.successor)

    ago = np.concatenate([np.arange(length, 0, -1) for length in before])
    past = clicked[by < 0] >= 0
    ended = (who[by < 0][past], -60 * ago[past], clicked[by < 0][past])
    day = (clicked >= 0) & (by >= 0)
    used, clicked_by = np.unique(by[day], return_inverse=True)
    return ended, Requests(user[used], start[used], active[used], clicked_by, clicked[day])


def _walk(
    who: np.ndarray, drawn: np.ndarray, again: np.ndarray, following: np.ndarray, successor: np.ndarray
) -> np.ndarray:
    """Clicked note of each step, -1 where all that the step could lead to had been clicked before by that user."""
    clicked = np.full(len(who), -1)
    user, seen, last = -1, set[int](), -1
    steps = zip(who.tolist(), drawn.tolist(), again.tolist(), following.tolist(), strict=True)
    following_note = successor.tolist()
    for step, (owner, note, other, follows) in enumerate(steps):
        if owner != user:
            user, seen, last = owner, set(), -1
        options = (following_note[last], note, other) if follows and last >= 0 else (note, other)
        last = next((option for option in options if option not in seen), last)
        if last not in seen:
            seen.add(last)
            clicked[step] = last
    return clicked
