"""What every recommender is asked, in whatever environment it lives: the same histories, one thread, one clock.

Nothing is timed before the items that it recommends to the first users are found to be the best of its own vectors'
products, without those of the history: a library that is fast because it is not exact would be told apart here.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np

DIM, LAYERS, HEADS, MAX_LEN, K = 64, 2, 2, 50, 10
INNER = DIM  # of the feed-forward layers: RecTools knows no other, and RePlay takes it where none is named
CHECKED = 64  # users whose items are compared


@dataclass(frozen=True)
class Recommender:
    """A library's own path from users' histories to items, and the vectors that it goes by."""

    many: Callable[[], np.ndarray]
    """Items `[users, K]` of all users."""
    one: Callable[[int], np.ndarray]
    """Items `[K]` of one user."""
    vectors: Callable[[int], tuple[np.ndarray, np.ndarray]]
    """Vectors of the first so many users and of all items, number i being row i."""
    weights: int
    """Numbers that the network learns, its items' vectors included."""


def judge(name: str, recommender: Recommender, histories: np.ndarray, args: argparse.Namespace) -> None:
    """Compare, then time; print one JSON object."""
    users, items = recommender.vectors(CHECKED)
    scores = users.astype(np.float64) @ items.T.astype(np.float64)
    np.put_along_axis(scores, histories[:CHECKED], -np.inf, 1)
    best = np.sort(np.argpartition(-scores, K, axis=1)[:, :K], axis=1)
    found = np.sort(recommender.many()[:CHECKED], axis=1)
    one = np.array([np.sort(recommender.one(user)) for user in range(8)])
    same = bool((found == best).all() and (one == best[:8]).all())
    rounds, single = [], []
    for _ in range(args.rounds):
        rounds.append(timed(recommender.many))
        single.append([timed(lambda user=user: recommender.one(user)) for user in range(args.calls)])
    figures = {
        "row": name,
        "same": same,
        "weights": recommender.weights,
        "users_per_cpu_s": len(histories) / min(cpu for cpu, _ in rounds),
        "one_cpu_ms": min(median(1000 * cpu for cpu, _ in each) for each in single),
        "one_wall_ms": min(median(1000 * wall for _, wall in each) for each in single),
        "versions": {package: version(package) for package in args.packages},
    }
    args.out.write_text(json.dumps(figures))


def timed(once: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds and seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    once()
    return time.process_time() - cpu, time.perf_counter() - wall


def begin(doc: str | None, *packages: str) -> tuple[argparse.Namespace, np.ndarray]:
    """Arguments, and the histories `[users, 50]` of item numbers from 0."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--histories", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--inner", type=int, default=INNER, help="For ours, whose configs have 4 times as much.")
    args = parser.parse_args()
    args.packages = packages
    return args, np.load(args.histories)
