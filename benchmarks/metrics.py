"""Metrics beside RecBole, RecTools, RePlay, ranx and torchmetrics: the same lists, the same numbers, and their time.

    python benchmarks/metrics.py [--rounds 2] [--work FOLDER] [--names recsys RecBole ...]

11,115 requests with as many relevant items each as Qilin's test requests have, 100 items listed of 1,983,938, six
metrics at seven cutoffs; and 10,000 rounds of the bootstrap of six paired differences. Each library runs in a process
of its own, and where it needs one in an environment of its own; it must first give the values that `compat` gives for
it, or nothing of it is printed. CPU time is that on one thread, wall time that on all cores. Two are shown a part of
the requests, and their time is scaled up.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from convert import machine
from environments import limited, pinned, python_of
from peers.ranking_metrics import CUTOFFS, ROUNDS, SEEN, WAYS, paired_differences
from rich.console import Console
from rich.table import Table

from recsys.files import atomic_file
from recsys.metrics import catalogue, evaluate, mean_intervals, mean_metrics, popularity

ITEMS, DEPTH, FOUND = 1_983_938, 100, 0.3
# How many of Qilin's test requests have 1, 2, 3, … relevant items.
POSITIVES = [3390, 2234, 1572, 961, 645, 453, 361, 271, 209, 172, 121, 110, 88, 80, 75, 58, 39, 40, 47, 22, 29, 26, 11]
POSITIVES += [19, 13, 14, 10, 6, 8, 4, 4, 2, 4, 3, 3, 2, 2, 2, 1, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 1]
REQUIREMENTS = {
    "RecTools": ["rectools==0.19.0"],
    "RePlay": ["replay-rec[torch]==0.22.0", *pinned("torch")],
    "ranx": ["ranx==0.3.21"],
}
COMPAT = {
    "RecBole": "recbole",
    "RecTools": "rectools",
    "RePlay": "replay",
    "ranx": "ranx",
    "torchmetrics": "torchmetrics",
}
TOLERANCE = {"RePlay, torch": 1e-6, "torchmetrics": 1e-6}  # they compute in float32
GOALS = {"RecBole": "40 x", "RecTools": "60 x", "RePlay, torch": "30 x", "ranx": "200 x", "torchmetrics": "1000 x"}
GOALS |= {"RecBole, beyond accuracy": "60 x", "recsys, bootstrap": "500 ms", "recsys, frames": "60 ms"}


@dataclass(frozen=True)
class Figure:
    """One library: the least of its rounds, and how far its values are from ours by its own definitions."""

    name: str
    package: str
    cpu_ms: float
    wall_ms: float
    times_cpu: float
    times_wall: float
    goal: str
    difference: float
    requests: int
    threads: int
    load: float
    machine: str


def lists(seed: int = 0) -> dict[str, np.ndarray]:
    """Lists of popular items, in which three tenths of the relevant ones stand somewhere."""
    rng = np.random.default_rng(seed)
    sizes = rng.permutation(np.repeat(np.arange(1, len(POSITIVES) + 1), POSITIVES))
    counts = np.append(0, rng.zipf(1.6, ITEMS).clip(max=5000))
    chances = np.cumsum(counts) / counts.sum()
    offsets = np.append(0, np.cumsum(sizes))
    relevant = np.concatenate([np.sort(rng.choice(ITEMS, size, replace=False) + 1) for size in sizes])
    ranked = np.zeros((len(sizes), DEPTH), dtype=np.int64)
    for row, wanted in zip(ranked, np.split(relevant, offsets[1:-1]), strict=True):
        found = wanted[rng.random(len(wanted)) < FOUND]
        others = np.searchsorted(chances, rng.random(4 * DEPTH))
        fill = np.setdiff1d(rng.permutation(np.concatenate([others, rng.integers(1, ITEMS + 1, DEPTH)])), wanted)
        row[:] = rng.permutation(np.concatenate([found, rng.permutation(fill)[: DEPTH - len(found)]]))
    return {"ranked": ranked, "offsets": offsets, "relevant": relevant, "counts": counts}


def library(name: str) -> str:
    return name.partition(",")[0]


def measure_of(name: str) -> str:
    """Our own way to the same."""
    if "bootstrap" in name:
        return name
    return "recsys, beyond accuracy" if "beyond" in name or "tail" in name else "recsys"


def expected(name: str, data: dict[str, Any]) -> dict[str, float]:
    """What `name` should say: our values by its definitions, for the requests that it sees."""
    if "bootstrap" in name:  # the same bits from another process, and in any number of threads
        intervals = mean_intervals(*paired_differences(data), rounds=ROUNDS)
        return {f"{end}/{metric}": value for metric, each in intervals.items() for end, value in each._asdict().items()}
    seen = SEEN.get(name, len(data["ranked"]))
    ranked, offsets = data["ranked"][:seen], data["offsets"][: seen + 1]
    if "beyond" in name or "tail" in name:
        whole = catalogue(ranked, ITEMS, CUTOFFS, compat="recbole")
        return whole | mean_metrics(popularity(ranked, data["counts"], CUTOFFS, compat="recbole"))
    relevant = offsets, data["relevant"][: offsets[-1]]
    return mean_metrics(evaluate(ranked, relevant, CUTOFFS, compat=COMPAT.get(library(name))))  # type: ignore[arg-type]


def run(name: str, data: Path, work: Path, threads: int) -> dict[str, Any]:
    """Have `name` measured in a process of its own."""
    needs = REQUIREMENTS.get(library(name))
    python = python_of(work / "environments" / library(name).lower(), needs) if needs else sys.executable
    script = Path(__file__).parent / "peers" / "ranking_metrics.py"
    command = [python, str(script), name, str(data), "--threads", str(threads)]
    command += ["--repeats", "20" if name.startswith("recsys") else "1" if name in SEEN else "3"]
    print(f"  {name}, {threads} thread{'s' * (threads > 1)}", file=sys.stderr, flush=True)
    done = subprocess.run(command, env=limited(threads), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def figures(names: list[str], data: dict[str, Any], work: Path, rounds: int) -> list[Figure]:
    file, cores = work / "metrics.npz", os.cpu_count() or 1
    np.savez(file, **data)
    ways = sorted({1, cores})
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for _ in range(rounds):
        for name in names:
            for threads in ways:
                found.setdefault((name, threads), []).append(run(name, file, work, threads))
    least = {
        name: (min(each["cpu_ms"] for each in found[name, 1]), min(each["wall_ms"] for each in found[name, cores]))
        for name in names
    }
    result = []
    for name in names:
        first, truth = found[name, 1][0], expected(name, data)
        values = [each for threads in ways for once in found[name, threads] for each in once["values"].items()]
        difference = max(abs(value - truth[column]) / max(1, abs(value)) for column, value in values)
        if difference > (0 if "bootstrap" in name else TOLERANCE.get(name, 1e-12)):
            sys.exit(
                f"{name} differs from our values by its own definitions by {difference:.1e}: nothing is comparable."
            )
        ours = least[measure_of(name)]
        times = [theirs / mine for theirs, mine in zip(least[name], ours, strict=True)]
        row = Figure(
            *(name, first["package"], *least[name], *times, GOALS.get(name, ""), difference, first["seen"], cores),
            *(os.getloadavg()[0], machine()[1]),
        )
        result.append(row)
    return result


def show(rows: list[Figure]) -> None:
    cores, model = machine()
    title = f"11,115 requests x {DEPTH} items, 6 metrics at {len(CUTOFFS)} cutoffs ({cores} cores, {model})"
    grid = Table(title=title)
    for name in ("library", "CPU ms", "wall ms", "times CPU", "times wall", "goal", "difference"):
        grid.add_column(name, justify="left" if name == "library" else "right")
    for row in rows:
        grid.add_row(
            f"{row.name} ({row.package})" + f", {row.requests} requests" * (row.name in SEEN),
            f"{row.cpu_ms:,.1f}",
            f"{row.wall_ms:,.1f}",
            f"{row.times_cpu:,.1f}",
            f"{row.times_wall:,.1f}",
            row.goal,
            f"{row.difference:.0e}",
        )
    Console(width=max(Console().width, 120)).print(grid)


def save(rows: list[Figure], path: Path) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Figure)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            rounded = {"difference": float(f"{row.difference:.1e}"), "load": round(row.load, 1)}
            writer.writerow(
                {name: round(v, 3) if isinstance(v, float) else v for name, v in asdict(row).items()} | rounded
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--names", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"))
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "metrics.csv")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    asked = list(dict.fromkeys(["recsys", "recsys, beyond accuracy", *args.names]))
    rows = figures(asked, lists(), args.work, args.rounds)
    if args.names == list(WAYS):
        save(rows, args.results)
    show(rows)
