"""Queries, titles, or both, where notes are clicked twice: what each adds to ids on synthetic data.

    python benchmarks/search_titles.py [--users 1000] [--seeds 0 1 2] [--clicks_per_note 2]

Four models of one width, loss and recipe on the same requests: SASRec and SearchSASRec of ids alone, both with titles
and categories, which also rank the notes that nobody clicked in training. Two notes on one topic are alike to a ranker
that has seen neither, so what there is to gain shows among the candidates that a request exposed (exposed/ndcg@10), not
at the top of tens of thousands. Differences are paired request by request; intervals are bootstraps over users.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_SILENT", "true")

import polars as pl
from rich.console import Console
from rich.table import Table
from search import save

from recsys.experiments import find_runs
from recsys.metrics.intervals import mean_interval, paired_interval
from recsys.qilin import convert, synthesize
from recsys.training.cli import run

METRIC = "exposed/ndcg@10"
COMMON = {
    "data.min_count": "1",
    "data.batch_size": "32",
    "model.loss": "SampledSoftmax",
    "model.loss.negatives": "1024",
    "model.exclude_seen": "true",
    "trainer.max_epochs": "15",
    "trainer.enable_model_summary": "false",
    "early_stopping.patience": "4",
}
SASREC = {"model.network.init_args.dropout": "0.3"}
SEARCH = {
    "model.network.init_args.dropout": "0.5",
    "model.learning_rate": "0.005",
    # validation is by full ranking, where a branch hardly shows what it has learnt: all epochs, and the last weights
    "trainer.num_sanity_val_steps": "0",
    "trainer.limit_val_batches": "0",
}
TITLES = {"data.vocabulary": "catalogue", "model.network.init_args.content": "true"}
BUCKETS = {"model.network.init_args.buckets": "8192"}
MODELS = {
    "ids": ("sasrec", SASREC),
    "queries": ("searchsasrec", {**SEARCH, **BUCKETS, "model.warm_start": "ids"}),
    "titles": ("sasrec", {**SASREC, **TITLES, **BUCKETS}),
    "both": ("searchsasrec", {**SEARCH, **TITLES, **BUCKETS, "model.warm_start": "titles"}),
}
COMPARED = [("queries", "ids"), ("titles", "ids"), ("both", "queries"), ("both", "titles")]


def measure(folder: Path, users: int, clicks_per_note: float, seed: int) -> list[dict]:
    """One row for each comparison."""
    data, runs = folder / "qilin-synthetic", folder / "runs"
    synthesize(folder / "raw", users=users, seed=seed, clicks_per_note=clicks_per_note)
    convert(folder / "raw", data)
    told = json.loads((folder / "raw" / "oracle.json").read_text("utf-8"))[METRIC]["all"]
    for name, (config, own) in MODELS.items():
        flags = [part for key, value in {**COMMON, **own}.items() for part in (f"--{key}", value)]
        where = ["--data.path", str(data), "--runs", str(runs), "--seed_everything", str(seed), "--name", name]
        for verb in ("fit", "test"):
            run([verb, "--config", f"{config}_qilin", *where, *flags])
    requests = {each.folder.parent.name: each.requests().sort("request_id") for each in find_runs([runs])}
    user = requests["ids"]["user_id"].rank("dense").cast(pl.Int64).to_numpy()
    rows = []
    for model, other in COMPARED:
        ours, theirs = (requests[name][METRIC].to_numpy() for name in (model, other))
        mean, gain = mean_interval(ours, user), paired_interval(ours, theirs, user)
        row = {"seed": seed, "users": users, "clicks_per_note": clicks_per_note, "requests": len(ours), "model": model}
        row |= {"ndcg": mean.mean, "to": other, "gain": gain.mean, "low": gain.low, "high": gain.high}
        rows.append(row | {"oracle_gain": told["with"] - told["without"]})
    return rows


def show(rows: list[dict]) -> None:
    table = Table(title=f"{METRIC}, synthetic data, {rows[0]['clicks_per_note']:g} clicks a note", box=None)
    for name in ("seed", "model", METRIC, "to", "gain", "oracle's, by queries"):
        table.add_column(name, justify="right")
    for row in rows:
        gain = f"{row['gain']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
        table.add_row(
            str(row["seed"]), row["model"], f"{row['ndcg']:.4f}", row["to"], gain, f"{row['oracle_gain']:+.4f}"
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--clicks_per_note", type=float, default=2.0)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "search_titles.csv")
    args = parser.parse_args()
    rows: list[dict] = []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(Path(folder), args.users, args.clicks_per_note, seed)
        show(rows)
        save(rows, args.results)
