"""Losses over a large catalogue: time, memory and value beside cross-entropy of the full matrix of logits.

    python benchmarks/losses.py [--items 100000 500000 1983938] [--targets 256] [--repeats 2]

Each method computes value and gradients in a process of its own, on one core. Scores hold the items' popularity, as
those of a trained model do. `step` rows are whole training steps of SASRec: RecBole's own loss and optimiser, and ours.
It fails where a step of ours in float32 does not have the loss of RecBole's: the relative difference is printed.
"""

import argparse
import csv
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

DIM, HISTORY = 64, 20
RESOLUTION = 16.0  # MiB; less is lost among what a process holds anyway
EXACT, FULL, OURS = "float64", "full logits", "FullSoftmax"
LOSSES = (FULL, OURS, f"{OURS}, bf16", "SampledSoftmax", "SampledSoftmax, uniform", "InBatchSoftmax", "GBCE", "BCE")
STEPS = ("step: RecBole", "step: FullSoftmax", "step: FullSoftmax, bf16", "step: SampledSoftmax, row-wise")
SAME = {*LOSSES[:6], *STEPS[:3]}  # what computes or estimates the softmax's value
N_STEPS, TOLERANCE = 3, 1e-4  # of RecBole's loss at the same step


@dataclass(frozen=True)
class Figure:
    """One method at one size: the best time of its repeats, the peak above its inputs, its values and their mean."""

    items: int
    targets: int
    method: str
    cpu_seconds: float
    extra_mib: float
    value: float
    exact: float
    threads: int
    load: float
    machine: str
    values: tuple[float, ...]


def method(name: str, items: int, targets: int) -> Callable[[], Any]:
    """Prepare the inputs; the returned function does once what is measured, and returns the loss."""
    import torch
    from torch.nn import functional as F

    from recsys import losses

    torch.set_num_threads(1)
    torch.manual_seed(0)
    popularity = torch.zeros(items)
    popularity[1:] = 1e7 / torch.arange(1, items)
    target = torch.multinomial(popularity, targets, replacement=True)
    if name in STEPS:
        return step(name, popularity, target)
    table = torch.randn(items, DIM).mul_(0.3)
    table[:, -1] = (popularity + 1).log_()
    vectors = torch.randn(targets, DIM)
    vectors[:, -1] = 1
    if name == EXACT:
        return lambda: exact(vectors.double(), table, target)
    table.requires_grad_()
    vectors.requires_grad_()
    loss = {
        "FullSoftmax": losses.FullSoftmax(),
        "SampledSoftmax": losses.SampledSoftmax(popular=0 if "uniform" in name else 0.5),
        "InBatchSoftmax": losses.InBatchSoftmax(),
        "GBCE": losses.GBCE(),
        "BCE": losses.BCE(),
        FULL: lambda v, t, y: F.cross_entropy(v @ t.T, y),
    }[name.split(",")[0]]
    if isinstance(loss, losses.Loss):
        loss.prepare(popularity.round())

    def once() -> Any:
        vectors.grad = table.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled="bf16" in name):
            value = loss(vectors, table, target)
        value.backward()
        return value

    return once


def exact(vectors: Any, table: Any, target: Any) -> Any:
    """Cross-entropy in float64; sums of two million float32 are wrong in the fourth digit after the point."""
    import torch

    sums = [(vectors @ part.double().T).logsumexp(1) for part in table[1:].split(1 << 16)]
    return (torch.stack(sums).logsumexp(0) - (vectors * table[target]).sum(1)).mean()


def step(name: str, popularity: Any, target: Any) -> Callable[[], Any]:
    """A training step of SASRec without dropout: RecBole's loss and Adam as it comes, or ours.

    Ours are the full softmax with Adam fused, or sampled softmax with row-wise Adagrad, another loss and optimiser.
    """
    import torch

    from recsys import losses
    from recsys.models import SASRec
    from recsys.models.tied import look_up
    from recsys.training.rowwise import RowwiseAdagrad

    network = SASRec(len(popularity), HISTORY, DIM, dropout=0.0)
    history = torch.randint(1, len(popularity), (len(target), HISTORY))
    interaction = {"item_id_list": history, "item_length": torch.full_like(target, HISTORY), "item_id": target}
    theirs, rowwise = "RecBole" in name, "row-wise" in name
    loss = losses.SampledSoftmax() if rowwise else losses.FullSoftmax()
    loss.prepare(popularity.round())
    loss.sparse = rowwise
    optimizer: torch.optim.Optimizer
    if rowwise:
        *rest, table = sorted(network.parameters(), key=lambda p: p is network.item_embedding.weight)
        optimizer = RowwiseAdagrad(rest, [table], 1e-3, 0.1, (0.9, 0.98), 0.0)
    else:
        optimizer = torch.optim.Adam(network.parameters(), **({} if theirs else {"fused": True}))

    def once() -> Any:
        optimizer.zero_grad()
        if theirs:
            value = network.calculate_loss(interaction)
        else:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled="bf16" in name):
                x, table = look_up(network.item_vectors(), history)
                value = loss(network.hidden(x)[:, -1], table, target)
        value.backward()
        optimizer.step()
        return value

    return once


def measure(name: str, items: int, targets: int, repeats: int) -> None:
    """In a process of its own: print CPU seconds, extra peak in MiB and the values."""
    once = method(name, items, targets)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, values = [], []
    for _ in range(repeats):
        started = time.process_time()
        value = once()
        seconds.append(time.process_time() - started)
        values.append(float(value.detach()))
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (
        1024 if sys.platform != "darwin" else 2**20
    )
    print(min(seconds), extra, *values)


def measured(name: str, items: int, targets: int, repeats: int, value_of: Figure | None = None) -> Figure:
    """Run `measure`; the exact value is that of `value_of`."""
    print(f"  {items:,} items: {name}", file=sys.stderr, flush=True)
    arguments = [sys.executable, __file__, "--measure", name, "--items", str(items), "--targets", str(targets)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*arguments, "--repeats", str(repeats)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    seconds, extra, *values = map(float, done.stdout.split())
    value = sum(values) / len(values)
    known = value if value_of is None else value_of.value
    load = os.getloadavg()[0]
    return Figure(items, targets, name, seconds, extra, value, known, 1, load, machine()[1], tuple(values))


def show(figures: list[Figure]) -> None:
    """Each method with its ratios to the full matrix of logits at the same size."""
    cores, model = machine()
    title = f"loss and gradients of {figures[0].targets} targets, width {DIM}, one thread ({cores} cores, {model})"
    grid = Table(title=title)
    for name in ("items", "method", "CPU s", "times faster", "extra MiB", "share", "value", "difference"):
        grid.add_column(name, justify="left" if name == "method" else "right")
    for figure in figures:
        first = next(f for f in figures if f.items == figure.items and (f.method in STEPS) == (figure.method in STEPS))
        same = figure.method in SAME
        grid.add_row(
            f"{figure.items:,}",
            figure.method,
            f"{figure.cpu_seconds:.3f}",
            f"{first.cpu_seconds / figure.cpu_seconds:.1f}",
            f"{figure.extra_mib:,.0f}",
            f"{figure.extra_mib / first.extra_mib:.3f}",
            f"{figure.value:.4f}",
            f"{figure.value - figure.exact:+.5f}" if same else "another loss",
            end_section=figure.method in (LOSSES[-1], STEPS[-1]),
        )
    Console(width=max(Console().width, 110)).print(grid)
    by_name = {(f.items, f.method): f for f in figures}
    for items in sorted({f.items for f in figures}):
        full, ours = (by_name[items, name] for name in (FULL, OURS))
        gradient = items * DIM * 4 / 2**20
        theirs, few = full.extra_mib - gradient, max(ours.extra_mib - gradient, RESOLUTION)
        print(
            f"{items:,} items, memory beside the table's gradient of {gradient:,.0f} MiB: full logits "
            f"{theirs:,.0f} MiB, {OURS} at most {few:,.0f} MiB, at least {theirs / few:,.0f} times less"
        )


def differing(figures: list[Figure]) -> list[str]:
    """Print how far apart RecBole's losses and ours in float32 are at each step; the sizes where that is too far."""
    by_name, found = {(f.items, f.method): f.values for f in figures}, []
    for items in sorted({f.items for f in figures}):
        theirs, ours = (by_name[items, name] for name in STEPS[:2])
        worst = max(abs(b / a - 1) for a, b in zip(theirs, ours, strict=True))
        print(f"{items:,} items, losses of {len(ours)} steps beside RecBole's: within {worst:.0e} of them")
        if not worst <= TOLERANCE:
            found.append(f"{items:,} items: losses differ by {worst:.0e} of RecBole's, more than {TOLERANCE:.0e}")
    return found


def save(figures: list[Figure], path: Path) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Figure)], lineterminator="\n")
        writer.writeheader()
        for figure in figures:
            row = {name: round(v, 5) if isinstance(v, float) else v for name, v in asdict(figure).items()}
            writer.writerow(row | {"values": " ".join(f"{value:.5f}" for value in figure.values)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[100_000, 500_000, 1_983_938])
    parser.add_argument("--targets", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "losses.csv")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure, args.items[0], args.targets, args.repeats)
    else:
        found = []
        for n in args.items:
            truth = measured(EXACT, n, args.targets, 1)
            found += [measured(name, n, args.targets, args.repeats, truth) for name in LOSSES]
            theirs = measured(STEPS[0], n, args.targets, N_STEPS)
            found += [theirs, *(measured(name, n, args.targets, N_STEPS, theirs) for name in STEPS[1:])]
        save(found, args.results)
        show(found)
        if wrong := differing(found):
            sys.exit("\n".join(wrong))
