"""Recommending beside RecTools and RePlay: users a second on one core, one user alone, large catalogues, large files.

    python benchmarks/recommend.py [--only beside search batch] [--work FOLDER] [--fresh]
    python benchmarks/recommend.py --report      (the tables of what has been measured so far)

`beside`: every library answers the same histories with an untrained SASRec of the same size, through its own path and
in an environment of its own; nothing is timed before its items are the best of its own vectors
(`recommenders/referee.py`). Rows are measured in turns, on one thread, in CPU time, of which the least of the rounds
counts: on a machine that others use too, the clock on the wall measures them.

`search`: what an index of approximate neighbours misses and saves, on made-up vectors and on those of a SASRec that is
trained on synthetic Qilin for it. `batch`: a file of a million users, its memory, and a run that is killed half way.

Each measurement has a file of its own under the work folder: a benchmark that was killed goes on where it was.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from convert import machine
from environments import limited
from recommenders.batch import batch
from rich.console import Console
from rich.table import Table
from training import interpreter

from recsys.files import atomic_file

HERE = Path(__file__).parent
ROWS: dict[str, tuple[str, list[str]]] = {
    "recsys": ("ours", []),
    "recsys, inner width 256": ("ours", ["--inner", "256"]),
    "RecTools": ("rectools", []),
    "RePlay": ("replay", []),
}
"""Each row's library, and options of its script."""
PARTS = ["beside", "search", "batch"]
LENGTH = 50
WORLD = ("--users", "5000", "--clicks_per_note", "10")
FIT = {
    "seed_everything": "0",
    "data.batch_size": "32",
    "model.loss": "SampledSoftmax",
    "model.loss.negatives": "2048",
    "trainer.max_epochs": "12",
    "trainer.enable_model_summary": "false",
}


def run(library: str, script: str, out: Path, args: argparse.Namespace, *options: str) -> Any:
    """What a script writes, run on one thread unless it has been; None where nothing is to be measured."""
    if args.report or (out.is_file() and not args.fresh):
        return json.loads(out.read_text()) if out.is_file() else None
    print(f"  {out.stem}", file=sys.stderr, flush=True)
    command = [interpreter(library, args.work), str(HERE / "recommenders" / script), "--out", str(out), *options]
    done = subprocess.run(command, env=limited(1), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr}")
    return json.loads(out.read_text())


def beside(items: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Each library's best of the rounds; every item is in as many histories as any other."""
    histories = args.work / f"histories-{items}.npy"
    generator, turns = np.random.default_rng(0), -(-args.histories * LENGTH // items)
    np.save(histories, np.concatenate([generator.permutation(items).reshape(-1, LENGTH) for _ in range(turns)]))
    found: dict[str, list[dict[str, Any]]] = {row: [] for row in ROWS}
    for turn in range(args.rounds):
        for number, (row, (library, own)) in list(enumerate(ROWS.items()))[:: 1 if turn % 2 == 0 else -1]:
            out = args.work / f"beside-{items}-{number}-{turn}.json"
            options = ["--histories", str(histories), "--rounds", "3", "--calls", "20", *own]
            found[row].append(run(library, f"run_{library}.py", out, args, *options))
    rows = []
    for name, measured in found.items():
        each = [one for one in measured if one is not None]
        if not each:
            continue
        if not all(one["same"] for one in each):
            sys.exit(f"{name} does not recommend the best items of its own vectors: nothing to compare.")
        versions = ", ".join(f"{package} {number}" for package, number in each[0]["versions"].items())
        rows.append(
            {
                "row": name,
                "weights": each[0]["weights"],
                "rounds": len(each),
                "items": items,
                "users_per_cpu_s": round(max(one["users_per_cpu_s"] for one in each)),
                "one_cpu_ms": round(min(one["one_cpu_ms"] for one in each), 2),
                "one_wall_ms": round(min(one["one_wall_ms"] for one in each), 2),
                "versions": versions,
            }
        )
    return rows


def search(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Exact and approximate search of large catalogues."""
    rows = []
    for kind in ("centred", "noise", "trained"):
        out = args.work / f"search-{kind}.json"
        options = ["--kind", kind, "--items", str(args.large)]
        if kind == "trained" and not args.report and (args.fresh or not out.is_file()):
            options += trained(args.work / "trained")
        for found in run("ours", "run_large.py", out, args, *options) or []:
            rows.append({name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()})
    return rows


def trained(folder: Path) -> list[str]:
    """Where a SASRec lies that was trained on synthetic Qilin, made on first use, and its data."""
    raw, data, runs = folder / "raw", folder / "data", folder / "runs"
    fit = ["--config", "sasrec_qilin", "--data.path", str(data), "--runs", str(runs)]
    for made, command in (
        (raw, ["synthesize", "--output", str(raw), *WORLD]),
        (data, ["convert", "qilin", "--source", str(raw), "--output", str(data)]),
        (runs, ["fit", *fit, *(part for name, value in FIT.items() for part in (f"--{name}", value))]),
    ):
        if not made.exists():
            subprocess.run([sys.executable, "-m", "recsys", *command], env=limited(1), check=True)
    return ["--checkpoint", str(next(runs.glob("*/*/checkpoint"))), "--data", str(data)]


def show(name: str, frame: pl.DataFrame) -> None:
    frame = frame.drop("versions", "machine", strict=False)
    grid = Table(*frame.columns, title=f"{name}: one thread, CPU time")
    for values in frame.iter_rows():
        grid.add_row(*("–" if value is None else str(value) for value in values))
    Console(width=max(Console().width, 140)).print(grid)
    for (items,), rows in frame.group_by("items", maintain_order=True) if name == "beside" else ():
        ours, *others = rows.iter_rows(named=True)
        for row in others:
            many, one = ours["users_per_cpu_s"] / row["users_per_cpu_s"], row["one_cpu_ms"] / ours["one_cpu_ms"]
            print(f"{items:,} items: {many:.1f} times as many users as {row['row']}, one user {one:.1f} times as fast")
    for (kind,), rows in frame.group_by("kind", maintain_order=True) if name == "search" else ():
        exact, *others = rows.iter_rows(named=True)
        for row in others:
            faster = exact["one_cpu_ms"] / row["one_cpu_ms"]
            print(f"{kind}, {row['search']}: {faster:.1f} times as fast, recall {row['recall']:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--items", type=int, nargs="+", default=[5000, 100_000], help="Multiples of 50, at least 3200.")
    parser.add_argument("--histories", type=int, default=2000, help="Users beside each other, at least.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=2_000_000, help="Items of the made-up catalogues.")
    parser.add_argument("--users", type=int, default=1_000_000, help="Users of the file.")
    parser.add_argument("--work", type=Path, default=Path("runs/recommend"), help="Folder for all that is made.")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--report", action="store_true", help="Measure nothing, show what is there.")
    parser.add_argument("--fresh", action="store_true", help="Measure again what has been measured.")
    args = parser.parse_args()
    args.work = args.work.absolute()
    args.work.mkdir(parents=True, exist_ok=True)
    parts = {
        "beside": lambda: [row for items in args.items for row in beside(items, args)],
        "search": lambda: search(args),
        "batch": lambda: batch(args.users, args.work, args.fresh, not args.report),
    }
    for name in args.only:
        frame = pl.DataFrame(parts[name](), infer_schema_length=None)
        if frame.is_empty():
            continue
        frame = frame.with_columns(machine=pl.lit(machine()[1]))
        with atomic_file(args.results / f"recommend{'' if name == 'beside' else f'_{name}'}.csv") as file:
            frame.write_csv(file)
        show(name, frame)
