"""`recsys serve` under load, from another process: requests a second, latencies and memory, every answer checked.

    python benchmarks/serving.py [--items 20000] [--seconds 8] [--requests 100000]

The model has random weights: what is measured is the way from a request to its answer. Each connection asks again as
soon as it has been answered. Server and load share the machine's cores, and the load takes its part of them. An answer
is right when it names the items that `Recommender.recommend` names for the same user alone; where only rounding decides
between two items, so that the lists differ and the scores do not, it is counted as near.
"""

import argparse
import asyncio
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from convert import machine
from rich.console import Console
from rich.table import Table

from recsys.files import atomic_file

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
SETTINGS = (("one worker", 1, 64), ("one worker, batches of 1", 1, 1), ("two workers", 2, 64))
WARM, K, USERS, SIZE = 300, 10, 1000, {"max_len": 50, "dim": 64, "layers": 2, "heads": 2, "inner_dim": 256}


@dataclass(frozen=True)
class Figure:
    """One server under one load; milliseconds from the sending of a request to the last byte of its answer.

    `cpu_ms` is the processor time of a request on the server, and depends little on what else the machine does.
    """

    server: str
    items: int
    connections: int
    requests: int
    requests_per_second: float
    median_ms: float
    p99_ms: float
    cpu_ms: float
    mean_batch: float
    near: int
    wrong: int
    resident_mib_before: float
    resident_mib_after: float
    cores: int
    load: float
    machine: str


@dataclass(frozen=True)
class Asked:
    """A request as it is sent, and the right answer."""

    body: bytes
    item_ids: list[str]
    scores: list[float]


def prepare(items: int, folder: Path) -> tuple[Path, list[Asked]]:
    """A checkpoint with random weights, and users with the answers that it gives to each alone."""
    import numpy as np
    import torch

    from recsys import Recommender, checkpoints
    from recsys.atomic import Vocabulary
    from recsys.checkpoints import Checkpoint
    from recsys.models import SASRec

    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = SASRec(n_items=items + 1, **SIZE)
    tokens = [f"n{i}" for i in range(1, items + 1)]
    checkpoint = Checkpoint(network, Vocabulary(tokens), np.arange(items + 1), {"name": "random"}, {})
    checkpoints.save(checkpoint, folder / "checkpoint")
    recommender = Recommender.from_pretrained(folder / "checkpoint")
    generator = np.random.default_rng(0)
    asked = []
    for _ in range(USERS):
        history = [tokens[i] for i in generator.integers(0, items, generator.integers(1, SIZE["max_len"] + 1))]
        answer = recommender.recommend(history, k=K)
        body = json.dumps({"history": history, "k": K}).encode()
        asked.append(Asked(body, answer.item_ids, answer.scores))
    return folder / "checkpoint", asked


@contextmanager
def server(checkpoint: Path, workers: int, batch: int) -> Iterator[str]:
    """A server in processes of its own, asked to end when the load is over."""
    script = "import sys; from recsys.__main__ import main; sys.exit(main())"
    flags = ["--port", "0", "--workers", str(workers), "--batch", str(batch)]
    process = subprocess.Popen(
        [sys.executable, "-c", script, "serve", str(checkpoint), *flags], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    try:
        yield re.findall(r"http://\S+", line)[0]
    finally:
        process.send_signal(signal.SIGTERM)
        if process.wait(60) != 0:
            sys.exit(f"the server ended with {process.returncode}: {process.stderr.read()}")


def counted(url: str) -> dict[str, float]:
    """What the server says of itself, all workers together."""
    with urllib.request.urlopen(f"{url}/metrics") as response:
        lines = [line.rpartition(" ") for line in response.read().decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, _, value in lines}


class Load:
    """Users who ask over and over, and whether they got what was theirs."""

    def __init__(self, url: str, asked: list[Asked]) -> None:
        self.host, self.port = url.removeprefix("http://").split(":")
        self.asked = asked
        self.seconds: list[float] = []
        self.near = self.wrong = self.sent = 0

    def run(self, connections: int, requests: int = 0, seconds: float = 0.0) -> float:
        """Ask until so many requests have been sent, or for so long; seconds that it took."""
        self.seconds, self.near, self.wrong, self.sent = [], 0, 0, 0
        begun = time.perf_counter()
        self.until, self.most = begun + seconds if seconds else float("inf"), requests or sys.maxsize
        asyncio.run(self._all(connections))
        return time.perf_counter() - begun

    async def _all(self, connections: int) -> None:
        await asyncio.gather(*(self._one() for _ in range(connections)))

    async def _one(self) -> None:
        reader, writer = await asyncio.open_connection(self.host, int(self.port))
        while time.perf_counter() < self.until and self.sent < self.most:
            asked = self.asked[self.sent % len(self.asked)]
            self.sent += 1
            begun = time.perf_counter()
            writer.write(
                b"POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(asked.body) + asked.body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            content = await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head)[0]))
            self.seconds.append(time.perf_counter() - begun)
            self._judge(asked, int(head[9:12]), json.loads(content))
        writer.close()

    def _judge(self, asked: Asked, status: int, answer: dict[str, Any]) -> None:
        items = answer["items"] if status == 200 else []
        scores = [item["score"] for item in items]
        if [item["item_id"] for item in items] == asked.item_ids:
            return
        close = len(scores) == K and all(abs(a - b) < 1e-4 for a, b in zip(scores, asked.scores, strict=True))
        self.near, self.wrong = self.near + close, self.wrong + (not close)


def measure(name: str, url: str, load: Load, items: int, connections: int, **until: Any) -> Figure:
    print(f"  {name}, {connections} connections", file=sys.stderr, flush=True)
    before = counted(url)
    took = load.run(connections, **until)
    after = counted(url)
    batches = after["recsys_batch_size_count"] - before["recsys_batch_size_count"]
    ordered = sorted(load.seconds)
    return Figure(
        server=name,
        items=items,
        connections=connections,
        requests=len(ordered),
        requests_per_second=len(ordered) / took,
        median_ms=1000 * ordered[len(ordered) // 2],
        p99_ms=1000 * ordered[int(len(ordered) * 0.99)],
        cpu_ms=1000 * (after["recsys_cpu_seconds_total"] - before["recsys_cpu_seconds_total"]) / len(ordered),
        mean_batch=(after["recsys_batch_size_sum"] - before["recsys_batch_size_sum"]) / batches,
        near=load.near,
        wrong=load.wrong,
        resident_mib_before=before["recsys_resident_bytes"] / 2**20,
        resident_mib_after=after["recsys_resident_bytes"] / 2**20,
        cores=machine()[0],
        load=os.getloadavg()[0],
        machine=machine()[1],
    )


def ready(url: str, workers: int) -> None:
    """Wait until every worker answers."""
    while counted(url)["recsys_workers"] < workers:
        time.sleep(0.2)


def show(figures: list[Figure]) -> None:
    first = figures[0]
    grid = Table(
        title=f"SASRec, {first.items:,} items, k {K} ({first.cores} cores shared with the load, {first.machine})"
    )
    for heading in (
        "server",
        "connections",
        "requests",
        "a second",
        "median ms",
        "p99 ms",
        "CPU ms",
        "batch",
        "near",
        "wrong",
        "MiB",
    ):
        grid.add_column(heading, justify="left" if heading == "server" else "right")
    for f in figures:
        grid.add_row(
            f.server,
            str(f.connections),
            f"{f.requests:,}",
            f"{f.requests_per_second:,.0f}",
            f"{f.median_ms:.1f}",
            f"{f.p99_ms:.1f}",
            f"{f.cpu_ms:.1f}",
            f"{f.mean_batch:.1f}",
            str(f.near),
            str(f.wrong),
            f"{f.resident_mib_before:,.0f} to {f.resident_mib_after:,.0f}",
        )
    Console(width=max(Console().width, 120)).print(grid)
    if any(f.wrong for f in figures):
        sys.exit("Some answers were wrong.")


def save(figures: list[Figure], path: Path) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Figure)], lineterminator="\n")
        writer.writeheader()
        for figure in figures:
            writer.writerow({name: round(v, 3) if isinstance(v, float) else v for name, v in asdict(figure).items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=8, help="For each number of connections.")
    parser.add_argument("--requests", type=int, default=100_000, help="For the memory over many requests; 0 for none.")
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    parser.add_argument("--work", type=Path, default=Path("runs/serving"), help="Folder for the checkpoint.")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "serving.csv")
    args = parser.parse_args()
    checkpoint, asked = prepare(args.items, args.work)
    figures = []
    for name, workers, batch in SETTINGS:
        with server(checkpoint, workers, batch) as url:
            load = Load(url, asked)
            ready(url, workers)
            load.run(8, requests=WARM * workers)
            for connections in args.connections:
                figures.append(measure(name, url, load, args.items, connections, seconds=args.seconds))
            if args.requests and (workers, batch) == (1, 64):
                figures.append(measure(f"{name}, lasting", url, load, args.items, 32, requests=args.requests))
        save(figures, args.results)
    show(figures)
