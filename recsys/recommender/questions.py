"""What is asked: lists of external ids, queries and times, checked and encoded, and the batch that they make."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
import torch

from recsys import atomic
from recsys.errors import InputError
from recsys.models.batch import Batch
from recsys.models.text import gram_matrix, normalize

Unknown = Literal["raise", "drop"]


@dataclass(frozen=True)
class Questions:
    """Users in their order: what is known of each, and nothing else."""

    offsets: np.ndarray
    """`[users + 1]`; the history of user i is `item[offsets[i]:offsets[i + 1]]`, oldest first."""
    item: np.ndarray
    """`[n]` int64, none of them 0."""
    time: np.ndarray
    """`[n]` whole seconds at which the items were clicked; 0 where nobody knows."""
    now: np.ndarray
    """`[users]` whole seconds of the requests."""
    queries: list[list[str]]
    """Of each user, those that have text."""
    unknown: list[list[str]]
    """Of each user, the ids that the model does not know."""

    def __len__(self) -> int:
        """Number of users."""
        return len(self.now)


def questions(
    numbers: Mapping[str, int],
    histories: Sequence[Sequence[str | int]],
    queries: Sequence[Sequence[str] | None] | None,
    timestamps: Sequence[Sequence[float] | None] | None,
    now: Sequence[float | None] | None,
    unknown: Unknown,
    named: Callable[[int], str],
) -> Questions:
    """Encode what is asked for each user by the `numbers` of the items; `named(i)` begins a sentence about user i.

    Raises:
        InputError: a string in place of a list; lists of other lengths; an unknown item under "raise"; times that are
            not one for each item in ascending order.
    """
    if unknown not in ("raise", "drop"):
        raise InputError(f'unknown is {unknown!r}: say "raise" or "drop".')
    users = len(histories)
    for name, given in (("queries", queries), ("timestamps", timestamps), ("now", now)):
        if given is not None and len(given) != users:
            raise InputError(f"{name} for {len(given)} users, but histories of {users}: give one entry for each.")
    for i, history in enumerate(histories):
        if isinstance(history, str) or isinstance(queries[i] if queries else None, str):
            raise InputError(f"{named(i)}history and queries are lists of strings, not one string: put it in brackets.")
    given = list(map(str, chain.from_iterable(histories)))
    item = np.fromiter((numbers.get(token, 0) for token in given), np.int64, len(given))
    counts = np.fromiter(map(len, histories), np.int64, users)
    owner, known = np.repeat(np.arange(users), counts), item > 0
    missing: list[list[str]] = [[] for _ in range(users)]
    for place in np.flatnonzero(~known).tolist():
        missing[owner[place]].append(given[place])
    if unknown == "raise" and not known.all():
        i = int(owner[np.argmin(known)])
        some = ", ".join(token for token, _ in zip(numbers, range(3), strict=False))
        raise InputError(
            f"{named(i)}{len(missing[i])} of {counts[i]} items of the history are unknown to the model, the first is "
            f"{missing[i][0]!r}. It knows {len(numbers)} items, such as {some}."
        )
    time, returned = np.zeros(len(given), np.int64), np.zeros(users, np.int64)
    if timestamps is not None or now is not None:
        seconds = [
            _seconds(count, timestamps[i] if timestamps else None, now[i] if now else None, named(i))
            for i, count in enumerate(counts.tolist())
        ]
        time = np.concatenate([time[:0], *(each[:-1] for each in seconds)])
        returned = np.array([each[-1] for each in seconds], np.int64)
    typed = [[query for query in each or () if normalize(query)] for each in queries or [()] * users]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner[known], minlength=users))])
    return Questions(offsets, item[known], time[known], returned, typed, missing)


def _seconds(items: int, timestamps: Sequence[float] | None, now: float | None, name: str) -> np.ndarray:
    """`[items + 1]` whole seconds of the clicks and of the request; all 0 when nothing is known."""
    if timestamps is None:
        if now is not None:
            raise InputError(f"{name}now says something only beside timestamps: give the times of the history too.")
        return np.zeros(items + 1, np.int64)
    if len(timestamps) != items:
        raise InputError(f"{name}{len(timestamps)} timestamps for {items} items of the history: give one for each.")
    last = timestamps[-1] if len(timestamps) else 0
    try:
        times = np.array([*timestamps, last if now is None else now], np.float64)
    except (TypeError, ValueError):
        times = np.array([np.nan])
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise InputError(f"{name}timestamps, and now behind them, must be numbers of seconds in ascending order.")
    return np.floor(times).astype(np.int64)


def batch_of(asked: Questions, users: Sequence[int] | np.ndarray, max_len: int, times: bool, searches: bool) -> Batch:
    """One row and one point for each of the `users`; queries are the newest thing that is known of them."""
    starts = [max(asked.offsets[i], asked.offsets[i + 1] - max_len) for i in users]
    counts = np.array([asked.offsets[i + 1] - start for i, start in zip(users, starts, strict=True)], np.int64)
    length = max(1, int(counts.max(initial=0)))
    item = np.zeros((len(users), length), np.int64)
    clicked, returned = (np.zeros_like(item) for _ in range(2)) if times else (None, None)
    for row, (start, count) in enumerate(zip(starts, counts.tolist(), strict=True)):
        item[row, :count] = asked.item[start : start + count]
        if clicked is not None and returned is not None and count:
            clicked[row, :count] = asked.time[start : start + count]
            returned[row, : count - 1] = clicked[row, 1:count]
            returned[row, count - 1] = asked.now[users[row]]
    last = np.maximum(counts - 1, 0)
    texts = [asked.queries[i] for i in users] if searches else []
    row_of = np.repeat(np.arange(len(texts)), [len(each) for each in texts])
    gram = gram_matrix(list(chain.from_iterable(texts))) if len(row_of) else np.zeros((0, 0), np.int64)
    nothing, rows = torch.zeros(0, dtype=torch.int64), torch.arange(len(users))
    return Batch(
        item=torch.from_numpy(item),
        timestamp=None if clicked is None else torch.from_numpy(clicked),
        request_timestamp=None if returned is None else torch.from_numpy(returned),
        next_item=torch.zeros_like(rows),
        point_row=rows,
        point_position=torch.from_numpy(last),
        request=rows,
        target_point=nothing,
        target_item=nothing,
        search_row=torch.from_numpy(row_of),
        search_position=torch.from_numpy(last[row_of]),
        search_type=torch.full((len(row_of),), atomic.TYPED),
        search_gram=torch.from_numpy(gram),
    )
