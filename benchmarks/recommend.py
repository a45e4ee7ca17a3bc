"""Recommending beside RecTools and RePlay: users a second on one core, one user alone, and large catalogues.

    python benchmarks/recommend.py [--items 100000] [--rounds 3] [--large 2000000] [--work FOLDER] [--fresh]
    python benchmarks/recommend.py --report      (the table of what has been measured so far)

Every library answers the same histories with an untrained SASRec of the same size, through its own path and in an
environment of its own; nothing is timed before its items are the best of its own vectors (`recommenders/referee.py`).
Rows are measured in turns, on one thread, in CPU time, of which the least of the rounds counts: on a machine that
others use too, the clock on the wall measures them. Each measurement has a file of its own under the work folder: a
benchmark that was killed goes on where it was.
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
from rich.console import Console
from rich.table import Table
from training import interpreter

from recsys.files import atomic_file

HERE = Path(__file__).parent
LIBRARIES = {"ours": "recsys", "rectools": "RecTools", "replay": "RePlay"}
LENGTH = 50


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


def beside(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Each library's best of the rounds."""
    histories = args.work / "histories.npy"
    np.save(histories, np.random.default_rng(0).permutation(args.items).reshape(-1, LENGTH))
    found: dict[str, list[dict[str, Any]]] = {library: [] for library in LIBRARIES}
    for turn in range(args.rounds):
        for library in list(LIBRARIES)[:: 1 if turn % 2 == 0 else -1]:
            out = args.work / f"{library}-{args.items}-{turn}.json"
            options = ["--histories", str(histories), "--rounds", "1", "--calls", "20"]
            found[library].append(run(library, f"run_{library}.py", out, args, *options))
    rows = []
    for library, measured in found.items():
        each = [one for one in measured if one is not None]
        if not each:
            continue
        if not all(one["same"] for one in each):
            sys.exit(f"{LIBRARIES[library]} does not recommend the best items of its own vectors: nothing to compare.")
        versions = ", ".join(f"{name} {number}" for name, number in each[0]["versions"].items())
        rows.append(
            {
                "row": LIBRARIES[library],
                "rounds": len(each),
                "items": args.items,
                "users_per_cpu_s": round(max(one["users_per_cpu_s"] for one in each)),
                "one_cpu_ms": round(min(one["one_cpu_ms"] for one in each), 2),
                "one_wall_ms": round(min(one["one_wall_ms"] for one in each), 2),
                "versions": versions,
            }
        )
    return rows


def large(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Exact and approximate search of a large catalogue."""
    rows = []
    for kind in ("centred", "noise"):
        out = args.work / f"large-{args.large}-{kind}.json"
        options = ["--items", str(args.large), "--kind", kind, "--users", str(args.users)]
        for found in run("ours", "run_large.py", out, args, *options) or []:
            numbers = {name: round(value, 3) for name, value in found.items() if isinstance(value, float)}
            rows.append({"row": f"{found['search']}, {kind}", "items": args.large} | numbers)
    return rows


def show(frame: pl.DataFrame) -> None:
    grid = Table(*frame.columns[:-2], title="one thread, CPU time")
    for values in frame.select(frame.columns[:-2]).iter_rows():
        grid.add_row(*("–" if value is None else str(value) for value in values))
    Console(width=max(Console().width, 140)).print(grid)
    ours, *theirs = frame.filter(pl.col("users_per_cpu_s").is_not_null()).iter_rows(named=True)
    for row in theirs:
        many, one = ours["users_per_cpu_s"] / row["users_per_cpu_s"], row["one_cpu_ms"] / ours["one_cpu_ms"]
        print(f"{many:.1f} times as many users a second as {row['row']}, one user {one:.1f} times as fast")
    exact: dict[str, Any] | None = None
    for row in frame.filter(pl.col("recall").is_not_null()).iter_rows(named=True):
        exact = row if row["row"].startswith("exact") else exact
        if row is not exact and exact is not None:
            print(
                f"{row['row']}: {exact['one_cpu_ms'] / row['one_cpu_ms']:.1f} times as fast, recall {row['recall']:.3f}"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000, help="A multiple of 50, at least 3200.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=2_000_000)
    parser.add_argument("--users", type=int, default=200, help="Users that the large catalogue is searched for.")
    parser.add_argument("--work", type=Path, default=Path("runs/recommend"), help="Folder for all that is made.")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "recommend.csv")
    parser.add_argument("--report", action="store_true", help="Measure nothing, show what is there.")
    parser.add_argument("--fresh", action="store_true", help="Measure again what has been measured.")
    args = parser.parse_args()
    args.work = args.work.absolute()
    args.work.mkdir(parents=True, exist_ok=True)
    frame = pl.concat([pl.DataFrame(beside(args)), pl.DataFrame(large(args))], how="diagonal")
    last = ["versions", "machine"]
    frame = frame.with_columns(machine=pl.lit(machine()[1]))
    frame = frame.select(*(name for name in frame.columns if name not in last), *last)
    with atomic_file(args.results) as file:
        frame.write_csv(file)
    show(frame)
