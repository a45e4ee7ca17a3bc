"""One referee for all trainers: the same log, the same split, the same ranking, the same rule for when to stop.

It needs NumPy alone, for it runs inside each rival's own environment. A trainer hands over its scores after every
epoch; all else (ranks, best epochs, seconds, the job's file) is kept here.

Per user the last rating is the test, the second last the validation, ties in time by the order of the file. All items
rated in training or validation are ranked; a target outside them counts as missed. *Unfiltered* ranks them all,
*filtered* those that the user has not rated before. For each of the two protocols the weights to test are those of
the epoch that validated best under the same protocol.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np

Split = Literal["valid", "test"]
PROTOCOLS = ("unfiltered", "filtered")
K = 10
DIM, LAYERS, HEADS, MAX_LEN = 64, 2, 2, 50
"""What all networks have in common."""


@dataclass(frozen=True)
class Log:
    """Who rated what, in order: by name, and by place in the catalogue `items`, -1 outside it."""

    users: list[str]
    items: list[str]
    names: list[list[str]]
    rated: list[np.ndarray]

    def inputs(self, split: Split) -> list[np.ndarray]:
        """What each user had rated before the item to be found."""
        return [items[: -2 if split == "valid" else -1] for items in self.rated]

    def targets(self, split: Split) -> np.ndarray:
        """`[users]` the item to be found."""
        return np.array([items[-2 if split == "valid" else -1] for items in self.rated])


def read(path: Path) -> Log:
    """The log in RecBole's atomic file `path`."""
    with path.open(encoding="utf-8") as file:
        header = [field.partition(":")[0] for field in file.readline().rstrip("\n").split("\t")]
        rows = [line.rstrip("\n").split("\t") for line in file]
    user, item, when = (header.index(name) for name in ("user_id", "item_id", "timestamp"))
    pairs: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        pairs.setdefault(row[user], []).append((float(row[when]), row[item]))
    ordered = {name: [i for _, i in sorted(of_user, key=lambda pair: pair[0])] for name, of_user in pairs.items()}
    items = sorted({i for names in ordered.values() for i in names[:-1]})
    place = {name: i for i, name in enumerate(items)}
    rated = [np.array([place.get(i, -1) for i in names]) for names in ordered.values()]
    return Log(list(ordered), items, list(ordered.values()), rated)


def ranks(scores: np.ndarray, targets: np.ndarray, seen: list[np.ndarray] | None = None) -> np.ndarray:
    """Rank of each target among `scores [users, items]`, 1 the best; 0 where the target is not among them.

    Items in `seen` do not count. Nobody rates anything twice here, so that no target is among them.
    """
    known = targets >= 0
    own = np.where(known, scores[np.arange(len(targets)), targets], np.inf)
    above = scores > own[:, None]
    if seen is not None:
        for row, items in zip(above, seen, strict=True):
            row[items] = False
    return np.where(known, above.sum(1) + 1, 0)


def ndcg(rank: np.ndarray) -> np.ndarray:
    """NDCG@10 of each user, whose one relevant item has that rank (0: none)."""
    return np.where((rank > 0) & (rank <= K), 1 / np.log2(np.maximum(rank, 1) + 1), 0.0)


def recall(rank: np.ndarray) -> np.ndarray:
    """Recall@10 of each user, which with one relevant item is its hit rate."""
    return ((rank > 0) & (rank <= K)).astype(float)


class Stopwatch:
    """CPU and wall seconds of what trains; whatever lies between `stop` and `start` is not counted."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    def start(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def stop(self) -> None:
        self.cpu += time.process_time() - self._cpu
        self.wall += time.perf_counter() - self._wall


class Referee:
    """Judges one job, epoch by epoch, and writes what it saw to `out` each time.

    Args:
        log: the data.
        out: the job's file.
        patience: stop when no protocol has validated better for so many epochs; None leaves that to the trainer.
        max_epochs: stop then in any case.
        about: what describes the job in its file.
    """

    def __init__(self, log: Log, out: Path, patience: int | None, max_epochs: int, **about: Any) -> None:
        self.log, self.out, self.patience, self.max_epochs = log, out, patience, max_epochs
        self.job: dict[str, Any] = about | {"finished": False, "epochs": [], "best": {}}
        self.watch = Stopwatch()

    def judge(self, targets: int, scores: Callable[[Split], np.ndarray]) -> bool:
        """After an epoch that trained `targets` targets; `scores(split)` is `[users, items]`. Is it enough?"""
        epochs, best = self.job["epochs"], self.job["best"]
        found = self._ranks("valid", scores)
        valid = {protocol: float(ndcg(rank).mean()) for protocol, rank in found.items()}
        better = [p for p in PROTOCOLS if p not in best or valid[p] > best[p]["valid"]]
        if better:
            tested = self._ranks("test", scores)
            for p in better:
                best[p] = {"epoch": len(epochs) + 1, "valid": valid[p], "ranks": tested[p].tolist()}
        epochs.append({"cpu": self.watch.cpu, "wall": self.watch.wall, "targets": targets, "valid": valid})
        self.watch.cpu = self.watch.wall = 0.0
        last = max(best[p]["epoch"] for p in PROTOCOLS)
        enough = len(epochs) >= self.max_epochs
        if self.patience is not None:
            enough |= len(epochs) - last >= self.patience
        self.save()
        shown = ", ".join(f"{p} {valid[p]:.4f}{'*' if p in better else ''}" for p in PROTOCOLS)
        print(f"epoch {len(epochs)}: {epochs[-1]['cpu']:.1f} CPU s, validation NDCG@{K} {shown}", flush=True)
        return enough

    def finish(self) -> None:
        """The trainer is done."""
        self.job["finished"] = True
        self.save()

    def save(self) -> None:
        temporary = self.out.with_suffix(".writing")
        temporary.write_text(json.dumps(self.job), encoding="utf-8")
        temporary.replace(self.out)

    def _ranks(self, split: Split, scores: Callable[[Split], np.ndarray]) -> dict[str, np.ndarray]:
        table, targets = scores(split), self.log.targets(split)
        return {
            "unfiltered": ranks(table, targets),
            "filtered": ranks(table, targets, self.log.inputs(split)),
        }


class Meter(Referee):
    """Takes the time of a few epochs and asks for no scores."""

    def judge(self, targets: int, scores: Callable[[Split], np.ndarray]) -> bool:
        self.job["epochs"].append({"cpu": self.watch.cpu, "wall": self.watch.wall, "targets": targets})
        self.watch.cpu = self.watch.wall = 0.0
        return len(self.job["epochs"]) >= self.max_epochs


def begin(about: str | None, *packages: str) -> tuple[argparse.Namespace, Referee]:
    """What every trainer is told on its command line, and the referee of its job."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True, help="The log, an atomic file.")
    parser.add_argument("--out", type=Path, required=True, help="The job's file.")
    parser.add_argument("--machine", default="", help="What it runs on, for the job's file.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--patience", type=int, help="Epochs without a better validation; default: the trainer's own.")
    parser.add_argument("--max-epochs", type=int, default=200)
    parser.add_argument("--cost", action="store_true", help="Take the time of --max-epochs epochs, nothing else.")
    args, args.more = parser.parse_known_args()
    described = {"model": args.model, "seed": args.seed, "machine": args.machine, "versions": versions(*packages)}
    kind = Meter if args.cost else Referee
    return args, kind(read(args.data), args.out, args.patience, args.max_epochs, **described)


def versions(*packages: str) -> dict[str, str]:
    """What the job ran on."""
    found = {"python": platform.python_version(), "threads": os.environ.get("OMP_NUM_THREADS", "")}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found
