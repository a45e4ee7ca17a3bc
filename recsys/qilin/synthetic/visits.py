"""When the users of the published world come, and whether they browse (recommendation) or search.

Sessions of a geometric number of requests; within one, a two-state chain of channels. The rates are those of table 6 of
Qilin's paper: 59.32 % of the transitions are R to R, 2.95 % R to S, 2.84 % S to R and 34.88 % S to S.
"""

from dataclasses import dataclass

import numpy as np

from recsys.qilin.synthetic.log import in_order

DAY = 86_400
IDLE = 1_800  # seconds; a longer gap ends a session
_SLOT = 2_700  # seconds; at most one session of a user starts in each
_GOES_ON = 0.53  # probability that a session has another request
_BROWSES_FIRST = 0.60
_SWITCH = (0.036, 0.046)  # probability that the next request is of the other channel, after R and after S
_SPREAD = 1.1  # of the logarithm of users' activity
_SURPLUS = (1.16, 1.4, 2.0, 4.0, 8.0)  # requests drawn for each one needed; more if a kind of them falls short
# Relative request rate of each hour of the day; its mean is 1. After 22:00 Qilin has 51.6 searches a minute, its mean
# is 34.9.
_RATE = np.repeat([0.98, 0.22, 0.76, 1.09, 1.42, 1.64, 1.62, 1.34], [2, 4, 3, 9, 3, 1, 1, 1])


@dataclass(frozen=True)
class Counts:
    """How many requests of each kind a day has; searches are cut at 22:00."""

    rec: int
    search_before: int
    search_after: int
    dqa: int


@dataclass(frozen=True)
class Visits:
    """Requests `[n]` sorted by (user, start): whether each is a search, or even a question, and how it follows.

    `after` is the channel of the user's request before it in the same session (0 recommendation, 1 search), or -1.
    `session` counts sessions.
    """

    user: np.ndarray
    start: np.ndarray
    search: np.ndarray
    dqa: np.ndarray
    after: np.ndarray
    session: np.ndarray


def visits(users: int, counts: Counts, cut: int, rng: np.random.Generator) -> Visits:
    """The requests of a day, as many of each kind as counted; `cut` is the second at which the searches are cut."""
    for surplus in _SURPLUS:
        drawn = _drawn(users, counts, surplus, rng)
        kinds = _kinds(counts, cut, drawn)
        if all(kind.sum() >= count for kind, count in kinds):
            break
    return _exactly(kinds, drawn, rng)


def _drawn(users: int, counts: Counts, surplus: float, rng: np.random.Generator) -> Visits:
    """Somewhat more requests than are counted; `after` and `session` are not known yet."""
    wanted = counts.rec + counts.search_before + counts.search_after + counts.dqa
    sessions = round(surplus * wanted * (1 - _GOES_ON))
    user, start = _sessions(users, sessions, rng)
    length = np.minimum(rng.geometric(1 - _GOES_ON, len(user)), 40)
    searcher = _searchers(users, rng)
    first = np.cumsum(length) - length
    search = _channels(first, length, rng.random(len(user)) < searcher[user], rng)
    gap = np.clip(rng.lognormal(np.log(150), 1.0, len(search)), 20, IDLE - 60).astype(np.int64)
    gap[first] = 0
    passed = np.cumsum(gap)
    started = np.repeat(start, length) + passed - np.repeat(passed[first], length)
    owner = np.repeat(user, length)
    dqa = search & (rng.random(len(search)) < counts.dqa / (wanted - counts.rec) * 1.1)
    unknown = np.zeros(0, np.int64)
    return Visits(owner, started, search, dqa, unknown, unknown)


def _searchers(users: int, rng: np.random.Generator) -> np.ndarray:
    """Each user's probability to begin a session with a search: most mainly browse or mainly search."""
    share: np.ndarray = rng.beta(0.6 * (1 - _BROWSES_FIRST), 0.6 * _BROWSES_FIRST, users)
    return share


def _sessions(users: int, sessions: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """User and start of each session; no two of a user begin in the same slot."""
    activity = rng.lognormal(0, _SPREAD, users)
    slots = DAY // _SLOT
    count = np.minimum(rng.multinomial(sessions, activity / activity.sum()), slots)
    rate = _RATE.repeat(3600 // 900).reshape(slots, -1).mean(axis=1)
    # The slots with the largest Gumbel-perturbed rates are a draw without replacement, all users at once.
    ranked = np.argsort(-(np.log(rate) + rng.gumbel(size=(users, slots))), axis=1)
    start = ranked[np.arange(slots) < count[:, None]] * _SLOT
    return np.repeat(np.arange(users), count), start + rng.integers(0, _SLOT - 600, len(start))


def _channels(first: np.ndarray, length: np.ndarray, opening: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whether each request is a search; all sessions go on in step."""
    search = np.zeros(length.sum(), bool)
    search[first] = opening
    uniform = rng.random(len(search))
    for step in range(1, int(length.max())):
        now = first[length > step] + step
        search[now] = search[now - 1] ^ (uniform[now] < np.where(search[now - 1], _SWITCH[1], _SWITCH[0]))
    return search


def _kinds(counts: Counts, cut: int, drawn: Visits) -> list[tuple[np.ndarray, int]]:
    """Which requests are of each kind, and how many are wanted."""
    inside, late = drawn.start < DAY, drawn.start >= cut
    searched = drawn.search & ~drawn.dqa & inside
    return [
        (~drawn.search & inside, counts.rec),
        (drawn.dqa & inside, counts.dqa),
        (searched & ~late, counts.search_before),
        (searched & late, counts.search_after),
    ]


def _exactly(kinds: list[tuple[np.ndarray, int]], drawn: Visits, rng: np.random.Generator) -> Visits:
    """As many requests of each kind as wanted, chosen at random."""
    ticket = rng.random(len(drawn.user))
    kept = np.zeros(len(drawn.user), bool)
    for kind, count in kinds:
        these = np.flatnonzero(kind)
        kept[these[np.argsort(ticket[these], kind="stable")[:count]]] = True
    chosen = np.flatnonzero(kept)
    chosen = chosen[in_order(drawn.user[chosen], drawn.start[chosen])]
    user, start, search = drawn.user[chosen], drawn.start[chosen], drawn.search[chosen]
    goes_on = np.zeros(len(user), bool)
    goes_on[1:] = (user[1:] == user[:-1]) & (np.diff(start) <= IDLE)
    after = np.where(goes_on, np.roll(search, 1), -1)
    return Visits(user, start, search, drawn.dqa[chosen], after, np.cumsum(~goes_on) - 1)
