"""What queries are worth on synthetic data, beside what a ranker that knows the world gains from them.

    python benchmarks/search.py [--users 1500] [--seeds 0 1 2 3 4] [--influence 0.6 0.3 0] [--models pending] [--quick]
    python benchmarks/search.py --cost                # CPU seconds of an epoch of each model, beside SASRec's

Every model sees the same data and is compared with SASRec request by request; intervals are bootstraps over users. The
share is that of the oracle's own gain (docs/synthetic.md). "After a search" are the requests at most 35 minutes after
one: those that a search steers. "longer" is SASRec given as many epochs more as the branch has, without early stopping:
what the epochs alone are worth; "bert4rec" is what searchbert4rec grows from, and always stands beside it. All exclude
what the user has clicked, as the oracle does: in this world nobody clicks a note twice.

Costs are measured in one process with one thread: the models take turns step by step, each with its own optimiser and
loader, so that whatever else the machine does it does to all. All are as wide as in the configs. "adapter" trains the
search branch on a frozen SASRec, as by default; "whole" trains everything.
"""

import argparse
import csv
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_SILENT", "true")

import numpy as np
import polars as pl
import torch
from rich.console import Console
from rich.table import Table

from recsys import atomic
from recsys.commands.demo import FITS, settings
from recsys.data import SequenceData
from recsys.experiments import find_runs
from recsys.files import atomic_file
from recsys.losses import Softmax
from recsys.metrics.intervals import paired_interval
from recsys.models import Model, SASRec, SearchSASRec, SESRec, UniSAR
from recsys.qilin import convert, synthesize
from recsys.qilin.synthetic.world import MEMORY
from recsys.training.cli import run

METRIC = "ndcg@10"
SEEN = ["--model.exclude_seen", "true"]
EPOCHS = {"sasrec": 25, "bert4rec": 20}
BRANCH = 30  # epochs of a branch, or of a model that is trained end to end
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
    "searchbert4rec": {"model.network.init_args.layers": "1", "model.network.init_args.initializer_range": "0.125"},
    "sesrec": {"model.learning_rate": "0.001", "model.network.init_args.dropout": "0.3"},
    "unisar": {"model.learning_rate": "0.001", "model.network.init_args.dropout": "0.3"},
    "longer": {},
}
CONFIG = {**dict.fromkeys(["pending", "cross", "interleave"], "searchsasrec"), "longer": "sasrec"}
"""Where it is not the name of the model."""


def measure(folder: Path, users: int, seed: int, influence: float, models: list[str], quick: bool) -> list[dict]:
    """One row for each model: NDCG@10, its difference to SASRec, and its share of the oracle's."""
    data, runs = folder / "qilin-synthetic", folder / "runs"
    synthesize(folder / "raw", users=users, seed=seed, influence=influence)
    convert(folder / "raw", data)
    told = json.loads((folder / "raw" / "oracle.json").read_text("utf-8"))[METRIC]
    common = ["--data.path", str(data), "--runs", str(runs), "--seed_everything", str(seed), *SEEN]
    seconds = {}
    if "searchbert4rec" in models:
        models = ["bert4rec", *models]
    for name in ["sasrec", *models]:
        config = CONFIG.get(name, name)
        epochs = EPOCHS["sasrec"] + BRANCH if name == "longer" else EPOCHS.get(config, BRANCH)
        few_queries = FITS["searchsasrec"] if config not in EPOCHS else {}
        own = {**few_queries, **FITS.get(config, {}), **MODELS.get(name, {})}
        own["trainer.max_epochs"] = str(2 if quick else epochs)
        if name == "longer":
            own["early_stopping.patience"] = str(epochs)
        called = f"{name}_qilin" if name in EPOCHS else name  # where the others look for what to grow from
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
        called = f"{name}_qilin" if name in EPOCHS else name
        row = {"influence": influence, "seed": seed, "users": users, "model": name, "seconds": seconds[called]}
        row["device"] = found[called].facts["device"]
        theirs = asked[METRIC].to_numpy()
        ours = found[called].requests().sort("request_id")[METRIC].to_numpy()
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


COSTS = {
    "SASRec": SASRec,
    "pending, adapter": SearchSASRec,
    "pending, whole": SearchSASRec,
    "cross, adapter": lambda n_items: SearchSASRec(n_items, fusion="cross"),
    "interleave, whole": lambda n_items: SearchSASRec(n_items, fusion="interleave"),
    "SESRec": SESRec,
    "UniSAR": UniSAR,
}
"""Models at the width of their configs, which for all of them is 64."""
ALL, FEW = list(COSTS), list(COSTS)[:3]


def cost(folder: Path, users: int, rounds: int) -> list[dict]:
    """One row for each model and batch size: CPU seconds of an epoch, and how many times those of SASRec."""
    synthesize(folder / "raw", users=users, seed=0)
    convert(folder / "raw", folder / "qilin-synthetic")
    torch.set_num_threads(1)
    rows = []
    for batch_size, names in ((16, ALL), (128, FEW)):  # those of the demo, and of the configs for Qilin
        steps = {name: epochs_of(name, folder / "qilin-synthetic", batch_size) for name in names}
        spent: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(1 + rounds):  # the first warms up
            length = {next(steps[name]) for name in names}.pop()
            for name in names:
                spent[name].append(0.0)
            for _ in range(length):
                for name in names:
                    started = process_time()
                    next(steps[name])
                    spent[name][-1] += process_time() - started
        seconds = {name: float(np.mean(each[1:])) for name, each in spent.items()}
        rows += [
            {
                "users": users,
                "batch_size": batch_size,
                "model": name,
                "epochs": rounds,
                "cpu_seconds_per_epoch": seconds[name],
                "times_sasrec": seconds[name] / seconds["SASRec"],
            }
            for name in names
        ]
    return rows


def epochs_of(name: str, path: Path, batch_size: int) -> Iterator[int]:
    """Before each epoch its number of steps, then the same after each step."""
    data = SequenceData(str(path), batch_size=batch_size, min_count=2)
    torch.manual_seed(0)
    network: Model = COSTS[name](data.n_items)
    if isinstance(network, SearchSASRec) and name.endswith("adapter"):
        for parameter in network.backbone():
            parameter.requires_grad_(False)
    data.times, data.searches = network.uses_times, network.uses_searches
    loader = data.train_dataloader()
    loss = Softmax()
    loss.prepare(torch.from_numpy(data.popularity()))
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], fused=True)
    while True:
        yield len(loader)
        for batch in loader:
            optimizer.zero_grad()
            network.training_loss(batch, loss).backward()
            optimizer.step()
            yield len(loader)


def show_cost(rows: list[dict]) -> None:
    table = Table(title="CPU seconds of an epoch, one thread", box=None)
    for name in ("batch size", "model", "CPU seconds", "times SASRec"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = row["batch_size"], row["model"], f"{row['cpu_seconds_per_epoch']:.1f}", f"{row['times_sasrec']:.2f}"
        table.add_row(*map(str, cells))
    Console(width=100).print(table)


def save(rows: list[dict], path: Path) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()} for row in rows)


def others(rows: list[dict], path: Path) -> list[dict]:
    """What an earlier run left at `path` that none of the rows replaces."""
    if not path.is_file():
        return []
    fresh = {tuple(str(row[name]) for name in ("influence", "seed", "users", "model")) for row in rows}
    with path.open(newline="", encoding="utf-8") as file:
        earlier = list(csv.DictReader(file))
    return [row for row in earlier if (row["influence"], row["seed"], row["users"], row["model"]) not in fresh]


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
    for influence, model in dict.fromkeys((row["influence"], row["model"]) for row in rows):
        seeds = [row for row in rows if (row["influence"], row["model"]) == (influence, model)]
        cells = []
        for part in ("all", "after_search"):
            gain, wanted = (np.mean([row[f"{part}_{name}"] for row in seeds]) for name in ("gain", "oracle_gain"))
            cells += [f"{gain:+.4f}", "–" if not wanted else f"{gain / wanted:.0%}"]
        table.add_row(str(influence), f"mean of {len(seeds)}", model, *cells, "")
    Console(width=160).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--influence", type=float, nargs="+", default=[0.6, 0.3, 0.0])
    parser.add_argument("--models", choices=list(MODELS), nargs="+", default=list(MODELS))
    parser.add_argument("--quick", action="store_true", help="200 users, two epochs: to see that it runs")
    parser.add_argument("--cost", action="store_true", help="measure what an epoch costs, and nothing else")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "search.csv")
    args = parser.parse_args()
    if args.quick:
        args.users, args.seeds = 200, [0]
    if args.cost:
        with tempfile.TemporaryDirectory() as folder:
            costs = cost(Path(folder), args.users, 1 if args.quick else 3)
        show_cost(costs)
        if not args.quick:
            save(costs, args.results.with_name("search_cost.csv"))
        raise SystemExit
    rows: list[dict] = []
    for influence in args.influence:
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                rows += measure(Path(folder), args.users, seed, influence, args.models, args.quick)
            show(rows)
            if not args.quick:
                save([*others(rows, args.results), *rows], args.results)
