"""What a synthetic day leaves behind, whichever world it was drawn from: the input of the writer."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from recsys.qilin.synthetic.profile import Profile

# One exposure; `time` in milliseconds since the day began, `screen` counted from 0, `opened` if a page time is known.
EXPOSURE = np.dtype(
    [("note", "i8"), ("click", "i8"), ("position", "i8"), ("time", "i8"), ("screen", "i8"), ("opened", "?")]
)
SCREEN = 4  # notes shown at once
WINDOW = 20
LOST = 0.025  # share of window entries that are missing
_FAR = 1_000_000_000  # farther apart than any two times of a day, in milliseconds or in seconds


@dataclass(frozen=True)
class Ragged:
    """Runs of `values`, one per request, with `length` `[requests]` values each."""

    values: np.ndarray
    length: np.ndarray

    def pick(self, chosen: np.ndarray) -> "Ragged":
        """The runs of the chosen requests, in that order."""
        first = np.cumsum(self.length) - self.length
        return Ragged(self.values[runs(first[chosen], self.length[chosen])], self.length[chosen])

    def of(self, name: str) -> "Ragged":
        """The runs of one field of structured values."""
        return Ragged(self.values[name], self.length)


@dataclass(frozen=True)
class Requests:
    """Requests `[n]` of one channel sorted by (user, start), and the notes clicked in each, in the order of clicking.

    `topic` is what a search is about; for recommendation, what the search still in memory is about, or -1.
    """

    user: np.ndarray
    start: np.ndarray
    topic: np.ndarray
    clicked_by: np.ndarray
    clicked: np.ndarray

    def unsteered(self) -> "Requests":
        """The same, as if there had been no search."""
        return replace(self, topic=np.full(len(self.user), -1))


@dataclass(frozen=True)
class Channel:
    """Requests of a channel, what each showed, and the number `[n]` of the session that each belongs to."""

    requests: Requests
    shown: Ragged
    session: np.ndarray


@dataclass(frozen=True)
class Language:
    """Titles `[notes]` and queries `[searches]`; `contents` writes the texts of given topics with a random stream."""

    titles: pa.Array
    queries: pa.Array
    contents: Callable[[np.ndarray, np.random.Generator], pa.Array]


@dataclass(frozen=True)
class Day:
    """All that is logged.

    Attributes:
        profile: quantities of the world.
        topic: topic of each note.
        video: probability that each note is a video.
        skew: milliseconds by which each user's clock is off.
        rec: recommendation; `latest` marks the requests of its test set.
        search: searches; `dqa` marks those asked as questions, `retrieved` are the notes that a retriever found.
        clicks: all that windows may hold, in any order: user, millisecond, note.
        language: the texts.
    """

    profile: Profile
    topic: np.ndarray
    video: np.ndarray
    skew: np.ndarray
    rec: Channel
    latest: np.ndarray
    search: Channel
    dqa: np.ndarray
    retrieved: Ragged
    clicks: tuple[np.ndarray, np.ndarray, np.ndarray]
    language: Language


@dataclass(frozen=True)
class Streams:
    """Independent random streams of a seed, one for each part, so that influence changes clicks and nothing else."""

    world: tuple[np.random.Generator, ...]
    shuffle: np.random.Generator
    texts: np.random.Generator
    rec: np.random.Generator
    search: np.random.Generator
    lost: np.random.Generator
    people: np.random.Generator

    @staticmethod
    def of(seed: int) -> "Streams":
        """The streams of a seed."""
        made = [np.random.default_rng([seed, stage]) for stage in range(11)]
        return Streams(tuple(made[:5]), *made[5:])


def runs(first: np.ndarray, length: np.ndarray) -> np.ndarray:
    """`first[i], first[i] + 1, …`, `length[i]` of them, one run after another."""
    offset: np.ndarray = np.repeat(np.cumsum(length) - length - first, length)
    positions: np.ndarray = np.arange(len(offset)) - offset
    return positions


def in_order(user: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The order that sorts by user, then start."""
    order: np.ndarray = np.lexsort((start, user))
    return order


def in_memory(user: np.ndarray, start: np.ndarray, search: Requests, memory: int) -> np.ndarray:
    """Row of each request's latest earlier search by its user; -1 if that lies more than `memory` seconds back."""
    latest = np.searchsorted(search.user * _FAR + search.start, user * _FAR + start, "left") - 1
    known = np.maximum(latest, 0)
    near: np.ndarray = (latest >= 0) & (search.user[known] == user) & (start - search.start[known] <= memory)
    return np.where(near, latest, -1)


def topic_of(search: Requests, row: np.ndarray) -> np.ndarray:
    """Topic of each row of `search`; -1 for row -1."""
    return np.where(row >= 0, search.topic[row], -1)


def clicks_of(channel: Channel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every click of a channel: user, millisecond, note."""
    values = channel.shown.values
    clicked = values["click"] == 1
    user = np.repeat(channel.requests.user, channel.shown.length)[clicked]
    return user, values["time"][clicked], values["note"][clicked]


def together(*parts: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clicks of several origins as one."""
    user, time, note = (np.concatenate(column) for column in zip(*parts, strict=True))
    return user, time, note


def windows(requests: Requests, clicks: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator) -> Ragged:
    """Each user's latest clicks before each request, newest first, a few of them lost."""
    user, time, note = clicks
    order = np.lexsort((time, user))
    user, time, note = user[order], time[order], note[order]
    end = np.searchsorted(user * _FAR + time, requests.user * _FAR + requests.start * 1000, "left")
    length = np.minimum(end - np.searchsorted(user, requests.user, "left"), WINDOW)
    request = np.repeat(np.arange(len(end)), length)
    oldest_first = runs(end - length, length)
    newest_first = note[(end - 1 + end - length)[request] - oldest_first]
    kept = rng.random(len(request)) >= LOST
    return Ragged(newest_first[kept], np.bincount(request[kept], minlength=len(end)))


def skewed_clocks(users: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Milliseconds by which each user's clock is off: whole days, for a few."""
    skew = np.zeros(users, np.int64)
    wrong = rng.choice(users, max(1, round(share * users)), replace=False)
    skew[wrong] = -rng.integers(1, 8, len(wrong)) * 86_400_000
    return skew
