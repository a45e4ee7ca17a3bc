"""The histories that one split may see, and the points in them to predict from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys.data.dataset import SPLITS, Dataset
from recsys.data.ragged import Ragged, grouped_offsets, ranges


@dataclass(frozen=True)
class Histories:
    """One list of items per user, and points sorted by user and by how much of that list they see."""

    item: Ragged
    """Items per user in order of time."""
    timestamp: np.ndarray
    """When each of these items was clicked, in the order of `item.values`."""
    request_timestamp: np.ndarray
    """When the user came back after it: see `returns`."""
    user: np.ndarray
    """`[points]`"""
    visible: np.ndarray
    """`[points]` a point sees its user's first `visible` items: those clicked strictly before the request began."""
    request: np.ndarray
    """`[points]` index among the data set's requests."""
    target: Ragged
    """The items in the vocabulary that each point's request led to: what training asks for."""
    wanted: np.ndarray
    """`[points]` bool: points of the split itself; the others are earlier requests, which tell where searches stand."""
    search_user: np.ndarray
    search_timestamp: np.ndarray
    search_visible: np.ndarray
    """`[searches]` items of the user's history after which the search is legal to see; -1 where it never is."""
    search_row: np.ndarray
    """`[searches]` index among the data set's searches."""
    margin: int = 0
    """Seconds that must lie between a search and the start of a request that may see it."""

    @cached_property
    def standing(self) -> tuple[np.ndarray, int, np.ndarray]:
        """The searches that stand on an item, a number above every length, and `user * number + visible` of each."""
        legal = np.flatnonzero(self.search_visible > 0)
        size = 2 + int(self.item.lengths.max(initial=0))
        return legal, size, self.search_user[legal] * size + self.search_visible[legal]

    @cached_property
    def search_key(self) -> np.ndarray:
        """`[searches]` sortable by user and time."""
        return sortable(self.search_user, self.search_timestamp)

    def searches_of(self, user: np.ndarray, timestamp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The searches visible to requests `[n]`, in order of time: the first, and the one behind the last."""
        first = np.searchsorted(self.search_user, user, side="left")
        return first, searches_before(self.search_key, user, timestamp, self.margin)


def histories(dataset: Dataset, split: str, margin: int = 0) -> Histories:
    """What a model may know when it answers the requests of `split`: events and searches of this and earlier splits.

    Items outside the vocabulary are left out. Later events are cut off per point by time (`visible`), or by the order
    of the file for data sets without requests. `margin` is that of `searches_before`.
    """
    stage = SPLITS.index(split)
    events, requests = dataset.events, dataset.requests
    if requests.delivered is not None:
        return _delivered(dataset, requests.delivered, stage, margin)
    n_users = len(dataset.users)
    known = (events.item > 0) & (events.split <= stage)
    event_user, event_timestamp = events.user[known], events.timestamp[known]
    item = Ragged(grouped_offsets(event_user, n_users), events.item[known])

    request = np.flatnonzero(requests.split <= stage)
    user, timestamp = requests.user[request], requests.timestamp[request]
    if requests.order is None:
        visible = count_before(event_user, event_timestamp, user, timestamp) - item.offsets[user]
    else:
        kept_before = np.concatenate([[0], np.cumsum(known)])
        first = grouped_offsets(events.user, n_users)[user]
        visible = kept_before[first + requests.order[request]] - item.offsets[user]
    by_user_and_position = np.lexsort((timestamp, visible, user))
    request, user, timestamp, visible = (x[by_user_and_position] for x in (request, user, timestamp, visible))

    search_row = np.zeros(0, np.int64)
    if dataset.searches is not None:
        search_row = np.flatnonzero(dataset.searches.split <= stage)
    search_user = dataset.searches.user[search_row] if dataset.searches is not None else search_row
    search_timestamp = dataset.searches.timestamp[search_row] if dataset.searches is not None else search_row
    return Histories(
        item=item,
        timestamp=event_timestamp,
        request_timestamp=returns(item, event_timestamp, user, timestamp, visible),
        user=user,
        visible=visible,
        request=request,
        target=requests.target.take(request).known(),
        wanted=requests.split[request] == stage,
        search_user=search_user,
        search_timestamp=search_timestamp,
        search_visible=first_legal(search_user, search_timestamp, user, timestamp, visible, margin),
        search_row=search_row,
        margin=margin,
    )


def _delivered(dataset: Dataset, delivered: Ragged, stage: int, margin: int) -> Histories:
    """The windows as they were delivered: each request of the split has a history of its own and shares none.

    The order of clicks and searches within a window is not known, so searches stand behind its last item; nor are the
    times of its clicks, so that all have the request's. In training the request's own clicks follow the window, for
    models that fill in what comes next; no point sees them.
    """
    requests, searches = dataset.requests, dataset.searches
    request = np.flatnonzero(requests.split == stage)
    window = delivered.take(request)
    target = requests.target.take(request).known()
    item = _followed(window, target) if SPLITS[stage] == "train" else window
    point, empty = np.arange(len(request)), np.zeros(0, np.int64)
    began = np.repeat(requests.timestamp[request], item.lengths)
    search, searcher = empty, empty
    if searches is not None:
        known = np.flatnonzero(searches.split <= stage)
        user, timestamp = requests.user[request], requests.timestamp[request]
        key = sortable(searches.user[known], searches.timestamp[known])
        first = np.searchsorted(searches.user[known], user, side="left")
        index, lengths = ranges(first, searches_before(key, user, timestamp, margin))
        search, searcher = known[index], np.repeat(point, lengths)
    return Histories(
        item=item,
        timestamp=began,
        request_timestamp=began,
        user=point,
        visible=window.lengths,
        request=request,
        target=target,
        wanted=np.ones(len(request), bool),
        search_user=searcher,
        search_timestamp=searches.timestamp[search] if searches is not None else search,
        search_visible=window.lengths[searcher],
        search_row=search,
        margin=margin,
    )


def _followed(window: Ragged, target: Ragged) -> Ragged:
    """Each window with its targets behind it."""
    row = np.concatenate([window.group, target.group])
    order = np.argsort(row, kind="stable")
    return Ragged(grouped_offsets(row[order], len(window)), np.concatenate([window.values, target.values])[order])


def count_before(
    event_user: np.ndarray, event_timestamp: np.ndarray, user: np.ndarray, timestamp: np.ndarray
) -> np.ndarray:
    """`[points]` number of events that sort before (user, timestamp), events being sorted by (user, timestamp).

    Strictly before: an event at the very second of the request is not visible to it.
    """
    return np.searchsorted(sortable(event_user, event_timestamp), sortable(user, timestamp), side="left")


def returns(
    item: Ragged, item_timestamp: np.ndarray, user: np.ndarray, timestamp: np.ndarray, visible: np.ndarray
) -> np.ndarray:
    """When each item's user came back after it, `[items]`: at the start of the earliest request that sees no further.

    Where there is none, with the next item; behind the last one, not at all, and its own time stands there. Nothing of
    this lies ahead of any request that sees the item. Points are sorted by (user, visible, timestamp).
    """
    last = item.offsets[1:][item.lengths > 0] - 1
    back = np.append(item_timestamp[1:], item_timestamp[-1:])
    back[last] = item_timestamp[last]
    place = (item.offsets[user] + visible - 1)[::-1]
    seen = visible[::-1] > 0
    back[place[seen]] = timestamp[::-1][seen]  # of several requests in one place the earliest comes last, and stays
    return back


def searches_before(key: np.ndarray, user: np.ndarray, timestamp: np.ndarray, margin: int = 0) -> np.ndarray:
    """The visibility rule, for training and prediction alike: a request sees the searches before its start.

    A search at τ is visible to a request that starts at T where τ < T - margin, in whole seconds. Strictly: one at the
    very second of the request is not visible to it. Searches are sorted; given are their `sortable` keys and requests
    `[n]`, returned is the number of searches, of all users, that sort before what each request may not see.
    """
    return np.searchsorted(key, sortable(user, timestamp - margin), side="left")


def first_legal(
    search_user: np.ndarray,
    search_timestamp: np.ndarray,
    user: np.ndarray,
    timestamp: np.ndarray,
    visible: np.ndarray,
    margin: int = 0,
) -> np.ndarray:
    """Where in its user's history each search stands: `[searches]` number of items before it, -1 for never.

    A search stands behind the items that the first request which sees it sees, and so reaches that request and all
    later ones through causal attention. Requests that see the same items are one place; it opens at the earliest of
    them, so that none sees its future. Points are sorted by (user, visible, timestamp).
    """
    starts = np.ones(len(user), bool)
    starts[1:] = (user[1:] != user[:-1]) | (visible[1:] != visible[:-1])
    place_user, place_visible = user[starts], visible[starts]
    key = sortable(search_user, search_timestamp)
    place = np.searchsorted(
        searches_before(key, place_user, timestamp[starts], margin), np.arange(len(search_user)), side="right"
    )
    found = np.append(place_user, -1)[place] == search_user
    return np.where(found, np.append(place_visible, -1)[place], -1)


def sortable(user: np.ndarray, timestamp: np.ndarray) -> np.ndarray:
    """One sortable int64 of (user, timestamp); exact for times within ± 2^39 seconds."""
    return user * (1 << 40) + timestamp + (1 << 39)
