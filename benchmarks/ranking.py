"""Exact full ranking of a large catalogue: `top_k` beside the bare matrix product, torch.topk and RecBole's collector.

    python benchmarks/ranking.py [--items 1983938] [--requests 11115] [--few 128] [--repeats 1]

Each method ranks in a process of its own, on one core, by turns in both orders; what each request has seen is left out.
The slow ones rank the first `--few` requests alone, and all times are given for 1,000. No ratio is printed unless the
methods have found the same items.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from convert import machine
from rich.console import Console
from rich.table import Table

from recsys.files import atomic_file

DIM, K, SEEN = 64, 100, 20
BLOCK, TILE = 256, 2048  # requests and items of a tile of the bare product, the fastest of those tried
RECBOLE_BATCH = 64  # scores and marks of 64 requests over two million items are 1 GB
OURS, PRODUCT, SORT, RECBOLE = "recsys.top_k", "matrix product", "full matrix, torch.topk", "RecBole's collector"
METHODS = (PRODUCT, OURS, SORT, RECBOLE)
FEW = (SORT, RECBOLE)


@dataclass(frozen=True)
class Figure:
    """One method: the best of its repeats, for 1,000 requests, and the peak above its inputs."""

    method: str
    items: int
    requests: int
    cpu_seconds: float
    seconds: float
    extra_mib: float
    same: bool | None
    threads: int
    load: float
    machine: str


def method(name: str, items: int, requests: int) -> Callable[[], Any]:
    """Prepare the inputs; the returned function ranks once, and returns the ids that it found."""
    import numpy as np
    import torch

    from recsys.ranking import top_k

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(items, DIM, generator=generator).mul_(0.3)
    vectors = torch.randn(requests, DIM, generator=generator)
    seen = torch.from_numpy(np.random.default_rng(0).integers(1, items, (requests, SEEN)))
    offsets = torch.arange(requests + 1) * SEEN

    def product() -> None:
        tile = torch.empty(BLOCK, TILE)
        for first in range(0, requests, BLOCK):
            block = vectors[first : first + BLOCK]
            for start in range(0, items, TILE):
                part = table[start : start + TILE]
                torch.mm(block, part.T, out=tile[: len(block), : len(part)])

    def batches(size: int) -> Any:
        for first in range(0, requests, size):
            scores = vectors[first : first + size] @ table.T
            scores[:, 0] = -torch.inf
            yield first, scores.scatter_(1, seen[first : first + size], -torch.inf)

    def sort() -> Any:
        return torch.cat([scores.topk(K).indices for _, scores in batches(RECBOLE_BATCH)])

    def recbole() -> Any:
        for first, scores in batches(RECBOLE_BATCH):
            row = torch.arange(len(scores))
            collector.eval_batch_collect(scores, None, row, 1 + (row + first) % (items - 1))
        return collector.get_data_struct().get("rec.items")

    def ours() -> Any:
        return top_k(vectors, table, K, (offsets, seen.flatten()))[0]

    collector = recbole_collector() if name == RECBOLE else None
    top_k(vectors[:2], table[:1000], K)  # compiled
    return {PRODUCT: product, SORT: sort, RECBOLE: recbole, OURS: ours}[name]


def recbole_collector() -> Any:
    """RecBole's own, as its trainer makes it for accuracy and coverage of 100."""
    from recbole.evaluator.collector import Collector

    from recsys.models import recbole  # noqa: F401 (what its imports lack on a recent NumPy)

    class Settings(dict):
        def __getitem__(self, name: str) -> Any:
            return super().get(name)

    arguments = {"mode": {"valid": "full", "test": "full"}}
    metrics = ["Recall", "NDCG", "MRR", "Hit", "ItemCoverage"]
    return Collector(Settings(metrics=metrics, topk=[K], device="cpu", eval_args=arguments))


def measure(name: str, items: int, requests: int, output: Path) -> None:
    """In a process of its own: print CPU seconds, seconds and extra peak in MiB; the ids go into `output`."""
    import numpy as np

    once = method(name, items, requests)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = time.process_time(), time.perf_counter()
    found = once()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    extra = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if found is not None:
        np.save(output, np.sort(found.numpy(), axis=1))
    print(json.dumps([cpu, wall, extra / (1024 if sys.platform != "darwin" else 2**20)]))


def measured(name: str, items: int, requests: int, folder: Path) -> Figure:
    """Run `measure`."""
    print(f"  {name}, {requests:,} requests", file=sys.stderr, flush=True)
    arguments = ["--measure", name, "--items", str(items), "--requests", str(requests), "--work", str(folder)]
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    cpu, wall, extra = json.loads(done.stdout.splitlines()[-1])
    each = 1000 / requests
    return Figure(name, items, requests, cpu * each, wall * each, extra, None, 1, os.getloadavg()[0], machine()[1])


def file_of(name: str, folder: Path) -> Path:
    return folder / f"{METHODS.index(name)}.npy"


def same(name: str, folder: Path) -> bool | None:
    """Whether the method found RecBole's items, for the requests that both ranked."""
    import numpy as np

    if not file_of(name, folder).exists():
        return None
    theirs, own = np.load(file_of(RECBOLE, folder)), np.load(file_of(name, folder))
    few = min(len(theirs), len(own))
    return bool((theirs[:few] == own[:few]).all())


def best(figures: list[Figure], folder: Path) -> Figure:
    """Of repeats: the least time, and the largest memory."""
    first = min(figures, key=lambda figure: figure.cpu_seconds)
    extra = max(figure.extra_mib for figure in figures)
    return Figure(**asdict(first) | {"extra_mib": extra, "same": same(first.method, folder)})


def show(figures: list[Figure]) -> None:
    cores, model = machine()
    items = figures[0].items
    title = f"the {K} best of {items:,} items, width {DIM}, for 1,000 requests on one core ({cores} cores, {model})"
    grid = Table(title=title)
    for heading in ("method", "measured on", "CPU s", "to the product", "extra MiB", "same items"):
        grid.add_column(heading, justify="left" if heading == "method" else "right")
    product = next(figure for figure in figures if figure.method == PRODUCT)
    for figure in figures:
        grid.add_row(
            figure.method,
            f"{figure.requests:,}",
            f"{figure.cpu_seconds:.2f}",
            f"{figure.cpu_seconds / product.cpu_seconds:.2f}",
            f"{figure.extra_mib:,.0f}",
            {True: "yes", False: "NO", None: "–"}[figure.same],
        )
    Console(width=max(Console().width, 110)).print(grid)
    if not all(figure.same for figure in figures if figure.method != PRODUCT):
        sys.exit("The methods have not found the same items: their times cannot be compared.")
    ours, theirs = (next(figure for figure in figures if figure.method == name) for name in (OURS, RECBOLE))
    print(f"{theirs.cpu_seconds / ours.cpu_seconds:.1f} times as fast as RecBole's collector")


def save(figures: list[Figure], path: Path) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Figure)], lineterminator="\n")
        writer.writeheader()
        for figure in figures:
            writer.writerow({name: round(v, 4) if isinstance(v, float) else v for name, v in asdict(figure).items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_983_938)
    parser.add_argument("--requests", type=int, default=11_115)
    parser.add_argument("--few", type=int, default=128, help="Requests for the methods that take long.")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("runs/ranking"), help="Folder for what was found.")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "ranking.csv")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.measure:
        measure(args.measure, args.items, args.requests, file_of(args.measure, args.work))
    else:
        found: dict[str, list[Figure]] = {name: [] for name in METHODS}
        for turn in range(args.repeats):
            for name in METHODS if turn % 2 == 0 else METHODS[::-1]:
                count = min(args.few, args.requests) if name in FEW else args.requests
                found[name].append(measured(name, args.items, count, args.work))
        figures = [best(each, args.work) for each in found.values()]
        save(figures, args.results)
        show(figures)
