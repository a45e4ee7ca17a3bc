"""Lists that need no model: one order for all requests, or chance."""

import numpy as np

from recsys.ranking.arguments import at_least_one, excluded


def shared_k(order: np.ndarray, k: int, exclude: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return ids `[requests, k]` int64: the first k of one `order [n]` of ids that are not excluded, 0 behind them.

    For a score that is the same for every request, such as popularity, this is `top_k` without any product.

    Args:
        order: distinct ids, best first.
        k: length of the lists.
        exclude: `(offsets [requests + 1], ids [n])`, as of `top_k`.
    """
    at_least_one(k=k)
    requests = len(exclude[0]) - 1
    offsets, seen = (part.numpy() for part in excluded(exclude, requests))
    request = np.repeat(np.arange(requests), np.diff(offsets))
    head = order[: k + int(np.diff(offsets).max(initial=0))]
    return _first(np.broadcast_to(head, (requests, len(head))), request, seen, k)


def random_k(items: int, k: int, exclude: tuple[np.ndarray, np.ndarray], seed: int, requests: np.ndarray) -> np.ndarray:
    """Return ids `[requests, k]` int64 drawn from 1 … items - 1 without replacement, 0 where fewer are left.

    Args:
        items: size of the catalogue, padding included.
        k: length of the lists.
        exclude: `(offsets [requests + 1], ids [n])`, as of `top_k`.
        seed: of the draws.
        requests: a number for each request `[requests]`; its list depends on that and the seed alone.
    """
    at_least_one(k=k)
    offsets, seen = (part.numpy() for part in excluded(exclude, len(requests)))
    lengths = np.diff(offsets)
    request = np.repeat(np.arange(len(requests)), lengths)
    widths = np.minimum(items - 1, k + lengths)
    drawn = np.zeros((len(requests), int(widths.max(initial=0))), np.int64)
    for row, width, number in zip(drawn, widths.tolist(), requests.tolist(), strict=True):
        row[:width] = 1 + np.random.default_rng((seed, number)).choice(items - 1, width, replace=False)
    return _first(drawn, request, seen, k)


def _first(lists: np.ndarray, request: np.ndarray, seen: np.ndarray, k: int) -> np.ndarray:
    """The first k of each list without the pairs of `request` and `seen`."""
    found = np.zeros((len(lists), k), np.int64)
    size = 1 + int(lists.max(initial=0))
    known = (seen > 0) & (seen < size)
    # Each pair as one number.
    numbers = np.arange(len(lists))[:, None] * size + lists
    kept = (lists > 0) & ~np.isin(numbers, request[known] * size + seen[known])
    place = np.cumsum(kept, axis=1) - 1
    row, column = np.nonzero(kept & (place < k))
    found[row, place[row, column]] = lists[row, column]
    return found
