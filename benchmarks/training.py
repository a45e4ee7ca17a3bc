"""Training beside RecBole, RecTools and RePlay: cost of an epoch, time to RecBole's quality, and quality at the end.

    python benchmarks/training.py [--rows HSTU] [--seeds 0 1 2] [--rounds 3] [--work FOLDER] [--fresh]
    python benchmarks/training.py --report      (the table of what has been measured so far)

MovieLens-100k, leave-one-out; width 64, 2 layers, 2 heads, 50 items; one thread each. Every rival is installed into an
environment of its own, with this project's version of torch. Each row and seed is a job with a file of its own under
the work folder: a benchmark that was killed goes on where it was. Costs are measured apart from quality, row after
row, round after round. RecBole's quality takes hours.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from environments import limited, pinned, python_of
from rich.console import Console
from rich.table import Table
from trainers.referee import PROTOCOLS
from trainers.standings import Standing, difference, read, standing

from recsys.commands.convert import main as convert
from recsys.files import atomic_file
from recsys.machine import processor

HERE = Path(__file__).parent
REQUIREMENTS = {
    # RecBole asks for ray<=2.6.3, which has no wheel for Python 3.12; these are what it imports. pandas 3 breaks it.
    "recbole": [
        *("pandas<3", "scipy", "scikit-learn", "tqdm", "pyyaml", "tensorboard", "texttable"),
        *("colorlog==4.7.2", "colorama==0.4.4"),
    ],
    "rectools": ["rectools[torch]==0.19.0"],
    "replay": ["replay-rec[torch]==0.22.0"],
}
WITHOUT_REQUIREMENTS = {"recbole": ["recbole==1.2.1"]}


@dataclass(frozen=True)
class Row:
    """A model of a library, how patient its early stopping is (None: its config says), epochs in a round of costs."""

    name: str
    library: str
    model: str
    patience: int | None = 10
    cost_epochs: int = 2

    @property
    def stem(self) -> str:
        """What its jobs' files begin with."""
        return f"{self.library}-{self.model}"


RECBOLE = "RecBole SASRec"
ROWS = (
    Row(RECBOLE, "recbole", "SASRec", 5, 1),
    Row("RecBole BERT4Rec", "recbole", "BERT4Rec", 5, 1),
    Row("RecTools SASRec", "rectools", "SASRec"),
    Row("RecTools BERT4Rec", "rectools", "BERT4Rec", 15),
    Row("RecTools eSASRec", "rectools", "eSASRec"),
    Row("RePlay SASRec, windows", "replay", "SASRec"),
    Row("RePlay BERT4Rec", "replay", "BERT4Rec", 15),
    Row("SASRec", "ours", "sasrec_ml-100k", None),
    Row("BERT4Rec", "ours", "bert4rec_ml-100k", None),
    Row("eSASRec", "ours", "esasrec_ml-100k", None),
    Row("HSTU", "ours", "hstu_ml-100k", None),
)
OURS = [row.name for row in ROWS if row.library == "ours"]


def interpreter(library: str, work: Path) -> str:
    """That of a library's own environment."""
    if library == "ours":
        return sys.executable
    wanted = [*pinned("torch"), *REQUIREMENTS[library]]
    return python_of(work / "environments" / library, wanted, WITHOUT_REQUIREMENTS.get(library, ()))


def job(row: Row, out: Path, work: Path, fresh: bool, *options: str) -> None:
    """Run one job in a process of its own, unless its file says that it is done; what it complains of is logged."""
    if not fresh and out.is_file() and read(out)["finished"]:
        return
    print(f"{row.name}: {out.stem}", flush=True)
    script = HERE / "trainers" / f"run_{row.library}.py"
    data = work / "ml-100k" / "ml-100k.inter"
    command = [interpreter(row.library, work), str(script), row.model, "--data", str(data), "--out", str(out)]
    command += ["--machine", processor(), *options]
    with tempfile.TemporaryDirectory() as folder, (work / f"{out.stem}.log").open("w") as log:
        child = subprocess.Popen(command, env=limited(1), cwd=folder, text=True, stdout=subprocess.PIPE, stderr=log)
        assert child.stdout is not None
        for line in child.stdout:
            print(f"  {line}", end="", flush=True)
        if child.wait():
            sys.exit(f"{row.name} failed: see {log.name}")


def measure(rows: list[Row], args: argparse.Namespace, jobs: Path) -> None:
    """Costs first, the rows in turns; then quality, seed after seed."""
    for turn in range(args.rounds):
        for row in rows:
            out, options = jobs / f"{row.stem}-cost-{turn}.json", ["--cost", "--max-epochs", str(row.cost_epochs)]
            job(row, out, args.work, args.fresh, *options)
    for seed in args.seeds:
        for row in rows:
            options = ["--seed", str(seed)] + ([] if row.patience is None else ["--patience", str(row.patience)])
            job(row, jobs / f"{row.stem}-{seed}.json", args.work, args.fresh, *options)


def differences(found: dict[str, Standing]) -> pl.DataFrame:
    """Each of our rows minus each rival's, NDCG@10 paired by user, under both protocols."""
    rows: list[dict[str, Any]] = []
    for name in (name for name in OURS if name in found):
        for rival in (rival for rival in found if rival not in OURS):
            for protocol in PROTOCOLS:
                mean, low, high = difference(found[name], found[rival], protocol)
                rows.append({"row": name, "rival": rival, "protocol": protocol, "mean": mean, "low": low, "high": high})
    return pl.DataFrame(rows).with_columns(pl.col("mean", "low", "high").round(4)) if rows else pl.DataFrame()


SHOWN = {
    "row": "",
    "seeds": "seeds",
    "targets_per_epoch": "targets",
    "cpu_s_per_epoch": "CPU s",
    "epochs_to_best": "epochs",
    "cpu_s_to_best": "CPU s to best",
    "cpu_s_to_target": "to RecBole's best",
    "best_valid_ndcg@10": "valid",
    "unfiltered_ndcg@10": "NDCG",
    "unfiltered_recall@10": "Recall",
    "filtered_ndcg@10": "NDCG, filtered",
    "filtered_recall@10": "Recall, filtered",
}


def show(table: pl.DataFrame, pairs: pl.DataFrame) -> None:
    """The figures, the differences, and how each row stands to RecBole."""
    console = Console(width=max(Console().width, 140))
    grid = Table(
        *SHOWN.values(), title="MovieLens-100k, one thread each; valid: NDCG@10, unfiltered; others: test, @10"
    )
    for values in table.select(*SHOWN).iter_rows():
        grid.add_row(*("–" if value is None else str(value) for value in values))
    console.print(grid)
    if len(pairs):
        grid = Table("row", "rival", "protocol", "NDCG@10, paired", title="differences, 95 % intervals over users")
        for pair in pairs.iter_rows(named=True):
            interval = "{mean:+.4f} [{low:+.4f}, {high:+.4f}]".format(**pair)
            grid.add_row(pair["row"], pair["rival"], pair["protocol"], interval)
        console.print(grid)
    for line in ratios(list(table.iter_rows(named=True))):
        print(line)


def ratios(figures: list[dict[str, Any]]) -> list[str]:
    """How much cheaper than RecBole's an epoch of each row is, and how much sooner it is as good on validation."""
    theirs = next((row for row in figures if row["row"] == RECBOLE and row["cpu_s_per_epoch"]), None)
    lines = []
    for row in figures if theirs is not None else []:
        if row is theirs or not row["cpu_s_per_epoch"]:
            continue
        line = f"{row['row']}: an epoch {theirs['cpu_s_per_epoch'] / row['cpu_s_per_epoch']:.1f} times cheaper"
        if row["cpu_s_to_target"]:
            ratio, at_target = theirs["cpu_s_to_best"] / row["cpu_s_to_target"], row["seeds_at_target"]
            line += f"; {RECBOLE}'s best validation {ratio:.1f} times sooner, in {at_target} of {row['seeds']} seeds"
        lines.append(line)
    return lines


def report(rows: list[Row], jobs: Path, results: Path) -> None:
    """Write results/training.csv and training_differences.csv from the jobs' files, and print them."""
    made = {row.name: standing(row.name, row.stem, jobs, row.library != "recbole") for row in rows}
    found = {name: row for name, row in made.items() if row is not None}
    if not found:
        sys.exit(f"{jobs}: nothing has been measured yet.")
    target = found[RECBOLE].best("unfiltered", "valid") if RECBOLE in found else None
    table, pairs = pl.DataFrame([row.figures(target) for row in found.values()]), differences(found)
    for name, frame in (("training", table), ("training_differences", pairs)):
        with atomic_file(results / f"{name}.csv") as file:
            frame.write_csv(file)
    show(table, pairs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="Only these, by name.")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=3, help="How often the cost of each row is measured.")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmark"), help="Folder for data and environments.")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="Folder for tables and jobs' files.")
    parser.add_argument("--fresh", action="store_true", help="Measure again what has been measured.")
    parser.add_argument("--report", action="store_true", help="Measure nothing, show what is there.")
    args = parser.parse_args()
    args.work = args.work.absolute()
    jobs = args.results.absolute() / "training"
    jobs.mkdir(parents=True, exist_ok=True)
    chosen = [row for row in ROWS if not args.rows or row.name in args.rows]
    if not args.report:
        if not (args.work / "ml-100k").is_dir():
            convert(["ml-100k", "--output", str(args.work / "ml-100k")])
        measure(chosen, args, jobs)
    report(list(ROWS), jobs, args.results)
