"""What queries are worth on synthetic data, beside what a ranker that knows the world gains from them.

    python benchmarks/search.py [--users 1500] [--seeds 0 1 2 3 4] [--influence 0.6 0.3 0] [--models pending] [--quick]

Every model sees the same data and is compared with SASRec request by request; intervals are bootstraps over users. The
share is that of the oracle's own gain (docs/synthetic.md). "After a search" are the requests at most 35 minutes after
one: those that a search steers. "longer" is SASRec given as many epochs more as the branch has, without early stopping:
what the epochs alone are worth. All exclude what the user has clicked, as the oracle does: in this world nobody clicks
a note twice.
"""

import argparse
import csv
import json
import os
import tempfile
from pathlib import Path
from time import perf_counter

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_SILENT", "true")

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from recsys import atomic
from recsys.commands.demo import FITS, settings
from recsys.experiments import find_runs
from recsys.files import atomic_file
from recsys.metrics.intervals import paired_interval
from recsys.qilin import convert, synthesize
from recsys.qilin.synthetic.world import MEMORY
from recsys.training.cli import run

METRIC = "ndcg@10"
SEEN = ["--model.exclude_seen", "true"]
EPOCHS = {"sasrec": 25, "searchsasrec": 30}
END_TO_END = {"model.freeze_backbone": "false", "model.warm_start": "null", "model.learning_rate": "0.001"}
MODELS = {
    "pending": {},
    "cross": {"model.network.init_args.fusion": "cross"},
    "interleave": {
        "model.network.init_args.fusion": "interleave",
        "model.network.init_args.dropout": "0.3",
        "trainer.num_sanity_val_steps": "0",
        **END_TO_END,
    },
    "longer": {},
}


def measure(folder: Path, users: int, seed: int, influence: float, models: list[str], quick: bool) -> list[dict]:
    """One row for each model: NDCG@10, its difference to SASRec, and its share of the oracle's."""
    data, runs = folder / "qilin-synthetic", folder / "runs"
    synthesize(folder / "raw", users=users, seed=seed, influence=influence)
    convert(folder / "raw", data)
    told = json.loads((folder / "raw" / "oracle.json").read_text("utf-8"))[METRIC]
    common = ["--data.path", str(data), "--runs", str(runs), "--seed_everything", str(seed), *SEEN]
    seconds = {}
    for name in ["sasrec", *models]:
        config = "sasrec" if name in ("sasrec", "longer") else "searchsasrec"
        epochs = sum(EPOCHS.values()) if name == "longer" else EPOCHS[config]
        own = {**FITS[config], "trainer.max_epochs": str(2 if quick else epochs), **MODELS.get(name, {})}
        if name == "longer":
            own["early_stopping.patience"] = str(epochs)
        called = name if name != "sasrec" else "sasrec_qilin"  # where the others look for what to grow from
        args = ["--config", f"{config}_qilin", *common, "--name", called, *settings(own)]
        started = perf_counter()
        run(["fit", *args])
        seconds[called] = perf_counter() - started
        run(["test", *args])
    found = {each.folder.parent.name: each for each in find_runs([runs])}
    asked = found["sasrec_qilin"].requests().sort("request_id")
    parts = {"all": np.ones(len(asked), bool), "after_search": after_search(data, asked)}
    user = asked["user_id"].rank("dense").cast(pl.Int64).to_numpy()
    rows = []
    for name in models:
        row = {"influence": influence, "seed": seed, "users": users, "model": name, "seconds": seconds[name]}
        theirs = asked[METRIC].to_numpy()
        ours = found[name].requests().sort("request_id")[METRIC].to_numpy()
        for part, chosen in parts.items():
            gain = paired_interval(ours[chosen], theirs[chosen], user[chosen])
            wanted = told[part]["with"] - told[part]["without"]
            row |= {
                f"{part}_requests": int(chosen.sum()),
                f"{part}_sasrec": theirs[chosen].mean(),
                f"{part}_gain": gain.mean,
                f"{part}_low": gain.low,
                f"{part}_high": gain.high,
                f"{part}_oracle_gain": wanted,
                f"{part}_share": gain.mean / wanted if wanted else float("nan"),
            }
        rows.append(row)
    return rows


def after_search(data: Path, asked: pl.DataFrame) -> np.ndarray:
    """`[requests]` bool: whether its user's latest search before each request is still in memory."""
    search = atomic.read(data / f"{data.name}.search", ["user_id", "timestamp"]).rename({"timestamp": "searched"})
    asked = asked.select("user_id", pl.col("timestamp").cast(pl.Float64)).with_row_index()
    latest = asked.sort("timestamp").join_asof(
        search.sort("searched"),
        left_on="timestamp",
        right_on="searched",
        by="user_id",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    near = latest.sort("index").select(pl.col("timestamp") - pl.col("searched") <= MEMORY).to_series()
    return near.fill_null(False).to_numpy()


def save(rows: list[dict], path: Path) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()} for row in rows)


def show(rows: list[dict]) -> None:
    table = Table(title="NDCG@10, full ranking, synthetic data: gain over SASRec", box=None)
    for name in ("influence", "seed", "model", "all", "share", "after a search", "share", "seconds"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = []
        for part in ("all", "after_search"):
            gain, low, high, share = (row[f"{part}_{name}"] for name in ("gain", "low", "high", "share"))
            cells += [f"{gain:+.4f} [{low:+.4f}, {high:+.4f}]", "–" if np.isnan(share) else f"{share:.0%}"]
        table.add_row(str(row["influence"]), str(row["seed"]), row["model"], *cells, f"{row['seconds']:.0f}")
    Console(width=160).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--influence", type=float, nargs="+", default=[0.6, 0.3, 0.0])
    parser.add_argument("--models", choices=list(MODELS), nargs="+", default=list(MODELS))
    parser.add_argument("--quick", action="store_true", help="200 users, two epochs: to see that it runs")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "search.csv")
    args = parser.parse_args()
    if args.quick:
        args.users, args.seeds = 200, [0]
    rows: list[dict] = []
    for influence in args.influence:
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                rows += measure(Path(folder), args.users, seed, influence, args.models, args.quick)
            show(rows)
            if not args.quick:
                save(rows, args.results)
