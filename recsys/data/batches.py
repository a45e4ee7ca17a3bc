"""Histories → batches, by whole-array gathers: no row is ever touched alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch

from recsys.data.dataset import Dataset
from recsys.data.histories import Histories
from recsys.data.ragged import Ragged, grouped_offsets, offsets_of, ranges
from recsys.data.records import Searches
from recsys.errors import InputError
from recsys.models.batch import Batch


@dataclass(frozen=True)
class Rows:
    """The rows that batches are made of: the items start..end − 1 of a user, and the points answered from them."""

    user: np.ndarray
    start: np.ndarray
    end: np.ndarray
    point: Ragged
    """Per row, indices of points. A point that sees no item is answered from a row of padding."""
    search: tuple[np.ndarray, np.ndarray] | None = None
    """In training, which of `histories.standing` stand on each row: the first, and the one behind the last."""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.user)


def training_rows(histories: Histories, max_len: int, stride: int) -> Rows:
    """Windows over whole histories: every point is trained once, with at least max_len − stride items before it.

    The last window of a user ends at what the last point sees; the others end `stride` items earlier each, until one
    reaches the first item.
    """
    last = np.zeros(len(histories.item), np.int64)
    np.maximum.at(last, histories.user, histories.visible)
    trained = np.bincount(histories.user, minlength=len(last)) > 0
    windows = np.where(trained, 1 + np.maximum(0, -(-(last - max_len) // stride)), 0)
    window, _ = ranges(np.zeros_like(windows), windows)
    user = np.repeat(np.arange(len(last)), windows)
    end = last[user] - stride * (windows[user] - 1 - window)
    first_seen = np.where(window == 0, 0, end - stride + 1)
    points_before = grouped_offsets(histories.user, len(last))
    low = _rank(histories, user, first_seen)
    high = _rank(histories, user, end + 1)
    index, lengths = ranges(low, high)
    assert len(index) == points_before[-1], "a point lies in exactly one window"
    start = np.maximum(0, end - max_len)
    _, size, key = histories.standing
    search = tuple(np.searchsorted(key, user * size + edge, side="right") for edge in (start, end))
    return Rows(user, start, end, Ragged(offsets_of(lengths), index), search)


def request_rows(histories: Histories, max_len: int) -> Rows:
    """One row per request of the split: the last `max_len` items that it may see."""
    point = np.flatnonzero(histories.wanted)
    end = histories.visible[point]
    return Rows(histories.user[point], np.maximum(0, end - max_len), end, Ragged(np.arange(len(point) + 1), point))


def _rank(histories: Histories, user: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Number of points sorted before (user, visible)."""
    size = 1 + max(int(histories.visible.max(initial=0)), int(visible.max(initial=0)))
    return np.searchsorted(histories.user * size + histories.visible, user * size + visible, side="left")


def assemble(
    dataset: Dataset,
    histories: Histories,
    rows: Rows,
    chosen: np.ndarray,
    training: bool,
    times: bool = True,
    searches: bool = True,
) -> Batch:
    """The batch of the rows `chosen`, with its times and searches where they are asked for.

    When `training`, searches stand where the earliest point that may see them is, and the targets and the item behind
    each row are given. Otherwise every row has one point, and its searches are those before the point's own request.
    """
    user, start, end = rows.user[chosen], rows.start[chosen], rows.end[chosen]
    n_rows, first, length = len(chosen), histories.item.offsets[user] + start, end - start
    index, points = ranges(rows.point.offsets[chosen], rows.point.offsets[chosen + 1])
    point, point_row = rows.point.values[index], np.arange(n_rows).repeat(points)
    position = histories.visible[point] - 1 - start[point_row]
    if training and (position < 0).any():
        point_row = np.where(position < 0, n_rows, point_row)
        first, length = np.append(first, 0), np.append(length, 0)
    position = np.maximum(position, 0)
    request = histories.request[point]

    column = np.arange(max(1, int(length.max(initial=0))))
    index, real = first[:, None] + column, column < length[:, None]
    grid = {"item": histories.item.values}
    if times:
        grid |= {"timestamp": histories.timestamp, "request_timestamp": histories.request_timestamp}
    for name, values in grid.items():
        grid[name] = values.take(index, mode="clip") if len(values) else np.zeros_like(index)
        grid[name] *= real
    if times and not training:
        # Of several requests that see the same, the first made the history's; now each is answered alone.
        own = np.where(histories.visible[point] > 0, dataset.requests.timestamp[request], 0)
        grid["request_timestamp"][point_row, position] = own
    target_point = target_item = search_row = search_position = search = np.zeros(0, np.int64)
    if training:
        target_point, target_item = _targets(histories, rows, chosen, point)
    source = dataset.searches if searches else None
    if source is not None:
        search_row, search_position, search = (
            _training_searches(histories, rows, chosen)
            if training
            else _request_searches(dataset, histories, user, start, end, request)
        )
    clicked = _search_clicks(source, search) if training and source is not None else {}
    made = search if source is None else source.timestamp[search]
    if not training:  # where no item tells when the user came back, time counts from the request
        made = made - np.where(end > start, 0, dataset.requests.timestamp[request])[search_row]
    return Batch(
        **{
            name: torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))
            for name, values in {
                **grid,
                "next_item": _next_items(histories, user, end, len(grid["item"])) if training else np.zeros(n_rows),
                "point_row": point_row,
                "point_position": position,
                "request": request,
                "target_point": target_point,
                "target_item": target_item,
                "search_row": search_row,
                "search_position": search_position,
                "search_timestamp": made,
                "search_type": search_row if source is None else source.type[search],
                "search_gram": np.zeros((0, 0)) if source is None else source.gram.take(search, axis=0),
                **clicked,
                "user": dataset.requests.user[request] + 1,
            }.items()
        }
    )


def _targets(histories: Histories, rows: Rows, chosen: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Point, numbered within the batch, and item of each target.

    In training, rows hold all points in their order: what a row asks for lies in one piece.
    """
    first, end = (rows.point.offsets[chosen + edge] for edge in (0, 1))
    index, _ = ranges(histories.target.offsets[first], histories.target.offsets[end])
    each = histories.target.offsets[point + 1] - histories.target.offsets[point]
    return np.arange(len(each)).repeat(each), histories.target.values.take(index)


def _search_clicks(source: Searches, search: np.ndarray) -> dict[str, np.ndarray]:
    """Of the batch's searches, the number of the one that each known click was made in, and the item."""
    if source.known_clicks is None:
        return {}
    clicked = source.known_clicks.take(search)
    return {"search_click": clicked.group, "search_click_item": clicked.values}


def _next_items(histories: Histories, user: np.ndarray, end: np.ndarray, n_rows: int) -> np.ndarray:
    """`[rows]` item behind each training row, 0 where the history ends."""
    place = histories.item.offsets[user] + end
    within = np.flatnonzero(place < histories.item.offsets[user + 1])
    following = np.zeros(n_rows, np.int64)
    following[within] = histories.item.values[place[within]]
    return following


def _training_searches(
    histories: Histories, rows: Rows, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, position and index of the searches that stand on an item of their row."""
    assert rows.search is not None
    first, end = rows.search
    index, lengths = ranges(first[chosen], end[chosen])
    row = np.repeat(np.arange(len(chosen)), lengths)
    search = histories.standing[0][index]
    return row, histories.search_visible[search] - 1 - rows.start[chosen][row], histories.search_row[search]


def _request_searches(
    dataset: Dataset,
    histories: Histories,
    user: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    request: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, position and index of the searches strictly before each row's own request."""
    timestamp = dataset.requests.timestamp[request]
    index, lengths = ranges(*histories.searches_of(user, timestamp))
    row = np.repeat(np.arange(len(user)), lengths)
    standing = histories.search_visible[index]
    visible = np.where(standing < 0, end[row], np.minimum(standing, end[row]))
    position = np.where(end[row] == 0, 0, visible - 1 - start[row])
    # a search older than the user's first item stands on that item: it is the past of everything that follows
    position = np.where((visible == 0) & (start[row] == 0), 0, position)
    kept = position >= 0
    return row[kept], position[kept], histories.search_row[index[kept]]


@dataclass
class BatchLoader:
    """Iterates over batches of rows; a new order each epoch, the same for the same seed.

    Training rows are shuffled. Under several processes each takes every `world`-th row; in training the surplus rows
    are left out so that all take as many steps, in evaluation each row is taken exactly once.
    """

    dataset: Dataset
    histories: Histories
    rows: Rows
    batch_size: int
    training: bool
    seed: int = 0
    rank: int = 0
    world: int = 1
    epoch: int = 0
    times: bool = True
    searches: bool = True
    seconds: float = 0.0
    """Time that making batches has taken since the beginning."""

    def __post_init__(self) -> None:
        self._given = 0
        self._stopped: dict[str, Any] = {}

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of that epoch."""
        self.epoch = epoch

    def state_dict(self) -> dict[str, Any]:
        """How many batches of which epoch have been given; Lightning keeps it beside its own state."""
        order = [self.seed, self.world, self.batch_size, len(self.rows)]
        return {"epoch": self.epoch, "given": self._given, "order": order}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """In the epoch of that state, begin behind the batches given."""
        self._stopped = state

    @property
    def batch_sampler(self) -> None:
        """Lightning asks for it wherever there is a `sampler`."""
        return None

    @property
    def sampler(self) -> "BatchLoader":
        """Where Lightning looks for `set_epoch`."""
        return self

    def __len__(self) -> int:
        """Number of batches of this process in a whole epoch."""
        surplus = len(self.rows) % self.world if self.training else 0
        return -(-len(range(self.rank, len(self.rows) - surplus, self.world)) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Batches in order.

        Raises:
            InputError: an epoch is to be gone on with that was begun in another order.
        """
        share = self._share()
        for i in range(self._begin(), len(self)):
            started = perf_counter()
            chosen = share[i * self.batch_size : (i + 1) * self.batch_size]
            batch = assemble(self.dataset, self.histories, self.rows, chosen, self.training, self.times, self.searches)
            self.seconds += perf_counter() - started
            self._given = i + 1
            yield batch

    def _begin(self) -> int:
        stopped, self._stopped = self._stopped, {}
        if stopped.get("epoch") != self.epoch:
            return 0
        if stopped["order"] != self.state_dict()["order"]:
            raise InputError(
                "--ckpt_path: that run stopped in the middle of an epoch, which only the same data, --data.batch_size, "
                "--seed_everything and number of processes can go on with."
            )
        return int(stopped["given"])

    def _share(self) -> np.ndarray:
        order = np.arange(len(self.rows))
        if self.training:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(order)
            order = order[: len(order) - len(order) % self.world]
        return order[self.rank :: self.world]
