"""What it costs to open a data set and to make its batches, in CPU milliseconds: the best of several repeats.

    OMP_NUM_THREADS=1 python benchmarks/loading.py [--scale 1] [--work FOLDER] [--data FOLDER ...]

Without --data, the data sets are MovieLens-100k and a synthetic Qilin, at scale 1 of the real one's size.
"""

import argparse
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from recsys.data import SequenceData, cached, load
from recsys.data.batches import BatchLoader
from recsys.data.bundled import ml_100k
from recsys.files import atomic_file
from recsys.qilin import convert, synthesize

RESULTS = Path(__file__).parent / "results" / "loading.csv"


def cpu_ms(work: Callable[[], Any], repeats: int = 1) -> float:
    """The least CPU time of `work`."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best * 1e3


def opening(path: Path) -> Iterator[tuple[str, float]]:
    with tempfile.TemporaryDirectory() as cache:
        os.environ["RECSYS_CACHE"] = ""
        yield "open: read the files, ms", cpu_ms(lambda: load(path), 3)
        os.environ["RECSYS_CACHE"] = cache
        yield "open: read and put into the cache, ms", cpu_ms(lambda: cached(path))
        yield "open: from the cache, ms", cpu_ms(lambda: cached(path), 10)
        (kept,) = Path(cache).glob("*.safetensors")
        yield "size in the cache, MB", kept.stat().st_size / 1e6


def feeding(path: Path, max_len: int) -> Iterator[tuple[str, float]]:
    data = SequenceData(str(path), max_len=max_len, batch_size=128, eval_batch_size=512)
    for read, asked in (("items", False), ("items, times and searches", True)):
        data.times = data.searches = asked
        for name, loader in (("train, 128", data.train_dataloader()), ("test, 512", data.test_dataloader())):
            deque(loader, maxlen=0)  # the first round makes what the later ones use
            rounds = max(5, 1000 // len(loader))
            spent = cpu_ms(lambda loader=loader: deque(loader, maxlen=0), rounds)
            yield f"{name} x {max_len}: a batch of {read}, ms", spent / len(loader)
    yield f"train, 128 x {max_len}: padding", padding(data.train_dataloader())


def padding(loader: BatchLoader) -> float:
    """Share of an epoch's positions that hold no item."""
    length = (loader.rows.end - loader.rows.start)[loader._share()]
    batches = [length[i : i + loader.batch_size] for i in range(0, len(length), loader.batch_size)]
    return float(1 - length.sum() / sum(len(batch) * max(1, batch.max()) for batch in batches))


def made(work: Path, scale: float) -> list[Path]:
    """The two data sets, made where they are missing."""
    movies, qilin, raw = work / "ml-100k", work / f"qilin-synthetic-{scale:g}", work / f"raw-{scale:g}"
    ml_100k(movies)
    if not qilin.is_dir():
        synthesize(raw, scale=scale)
        convert(raw, qilin)
    return [movies, qilin]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks/loading"))
    parser.add_argument("--data", type=Path, nargs="+")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows = []
    for folder in args.data or made(args.work, args.scale):
        for what, value in (*opening(folder), *feeding(folder, 50), *feeding(folder, 20)):
            rows.append({"data": folder.resolve().name, "what": what, "value": round(value, 3)})
            print(f"{rows[-1]['data']:20} {what:60} {value:10.3f}", flush=True)
    with atomic_file(args.results) as file:
        pl.DataFrame(rows).write_csv(file)
