"""Counts of all workers together, in Prometheus' text format (exposition format 0.0.4).

Each worker counts in a file of its own, named by its process id and mapped into memory; whoever is asked adds them up.
So no count is lost with a worker that ends, and none waits for a lock.
"""

import mmap
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATHS = ("/recommend", "/items", "/health", "/metrics", "/", "other")
STATUSES = ("200", "404", "405", "408", "413", "422", "499", "500", "503", "other")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Family:
    """One metric and all the samples that it can have."""

    name: str
    kind: str
    help: str
    samples: tuple[str, ...]


def _histogram(name: str, help: str, bounds: tuple[float, ...]) -> Family:
    buckets = [f'{name}_bucket{{le="{bound:g}"}}' for bound in bounds]
    return Family(name, "histogram", help, (*buckets, f'{name}_bucket{{le="+Inf"}}', f"{name}_sum", f"{name}_count"))


COUNTED = (
    Family(
        "recsys_requests_total",
        "counter",
        "Requests answered.",
        tuple(f'recsys_requests_total{{path="{path}",status="{status}"}}' for path in PATHS for status in STATUSES),
    ),
    _histogram("recsys_recommend_seconds", "From the whole of a request for recommendations to its answer.", SECONDS),
    _histogram("recsys_batch_size", "Requests that went through the model together.", SIZES),
    Family("recsys_unknown_items_total", "counter", "Ids in histories that the model does not know.", ("",)),
    Family("recsys_popularity_answers_total", "counter", "Answers that had nothing to go by.", ("",)),
    Family("recsys_cpu_seconds_total", "counter", "Processor time of all threads of all workers.", ("",)),
)
WAITING = "recsys_waiting_requests"
SLOTS = {
    sample or family.name: slot
    for slot, (family, sample) in enumerate((family, sample) for family in COUNTED for sample in family.samples)
} | {WAITING: sum(len(family.samples) for family in COUNTED)}


class Counts:
    """The counts of this process; only its event loop writes them."""

    def __init__(self, folder: Path) -> None:
        """Begin to count in `folder`, which all workers share."""
        self.folder = folder
        path = folder / str(os.getpid())
        path.write_bytes(bytes(8 * len(SLOTS)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._values = memoryview(self._map).cast("d")

    def add(self, sample: str, amount: float = 1) -> None:
        """Count."""
        self._values[SLOTS[sample]] += amount

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request by where it went, how it ended and, if recommendations came of it, how long that took."""
        path = path if path in PATHS else "other"
        code = str(status) if str(status) in STATUSES else "other"
        self.add(f'recsys_requests_total{{path="{path}",status="{code}"}}')
        self._values[SLOTS["recsys_cpu_seconds_total"]] = time.process_time()
        if path == "/recommend" and status == 200:
            self._observe("recsys_recommend_seconds", SECONDS, seconds)

    def batch(self, size: int, waiting: int) -> None:
        """Count a batch, and note how many requests still wait."""
        self._observe("recsys_batch_size", SIZES, size)
        self._values[SLOTS[WAITING]] = waiting

    def answer(self, unknown: int, reason: str) -> None:
        """Count what was unknown, and whether the model had anything to go by."""
        self.add("recsys_unknown_items_total", unknown)
        self.add("recsys_popularity_answers_total", reason == "popularity")

    def _observe(self, name: str, bounds: tuple[float, ...], value: float) -> None:
        for bound in bounds:
            if value <= bound:
                self.add(f'{name}_bucket{{le="{bound:g}"}}')
        self.add(f'{name}_bucket{{le="+Inf"}}')
        self.add(f"{name}_sum", value)
        self.add(f"{name}_count")

    def text(self) -> str:
        """Everything that all workers have counted."""
        return "\n".join(_text(self.folder)) + "\n"


def _text(folder: Path) -> Iterator[str]:
    counted = {int(file.name): memoryview(file.read_bytes()).cast("d") for file in folder.iterdir()}
    for family in COUNTED:
        yield from _head(family.name, family.kind, family.help)
        for sample in family.samples:
            name = sample or family.name
            value = sum(values[SLOTS[name]] for values in counted.values())
            if value or family.kind == "histogram" or not sample:
                yield f"{name} {value:.10g}"
    alive = {pid: memory for pid in counted if (memory := _resident(pid)) is not None}
    yield from _head(WAITING, "gauge", "Requests that wait for a batch.")
    yield f"{WAITING} {sum(counted[pid][SLOTS[WAITING]] for pid in alive):.10g}"
    yield from _head("recsys_workers", "gauge", "Processes that answer.")
    yield f"recsys_workers {len(alive)}"
    yield from _head("recsys_resident_bytes", "gauge", "Memory that they occupy; 0 where the system does not say.")
    yield f"recsys_resident_bytes {sum(alive.values())}"


def _head(name: str, kind: str, help: str) -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} {kind}"


def _resident(pid: int) -> int | None:
    """Bytes of memory of a process; None when it has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    statm = Path(f"/proc/{pid}/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0
