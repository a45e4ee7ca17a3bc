"""What `pending` leaves right after a search, and why: the same requests, with one thing at a time put right.

    python benchmarks/search_gap.py [--users 1500] [--seeds 0] [--influence 0.6]

Requests of synthetic data at most 35 minutes after a search, as in benchmarks/search.py. Beside `pending` stand

told     the same model, where all searches of a topic say the same: nothing is left to misread.
ordered  the lists of pending; the places of notes on the searched topic go to those that "mixed" ranks first.
mixed    no network reads the search: the frozen SASRec's probabilities, mixed with those of the notes on the searched
         topic by their clicks in training. It knows the topic and the influence of searches.

"surprise" is how much less a SASRec expects what was clicked in validation than what it was trained on, in nats.
"""

import argparse
import json
import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_SILENT", "true")

import numpy as np
import polars as pl
import torch
from rich.console import Console
from rich.table import Table
from search import BRANCH, EPOCHS, save

from recsys import atomic, checkpoints
from recsys.ablation.transforms import Log, transformed
from recsys.commands.demo import FITS, settings
from recsys.data import SequenceData
from recsys.metrics import evaluate
from recsys.metrics.intervals import paired_interval
from recsys.models import Model
from recsys.qilin import convert, synthesize
from recsys.qilin.synthetic.world import MEMORY
from recsys.training.cli import run
from recsys.training.protocols import Questions

TOPIC, K = "taxonomy2", 10  # in the learnable world the second taxonomy is the topic


def measure(folder: Path, users: int, seed: int, influence: float) -> list[dict]:
    """One row for each ranker: what it gains over SASRec after a search, and its share of the oracle's gain."""
    data = folder / "qilin-synthetic"
    synthesize(folder / "raw", users=users, seed=seed, influence=influence)
    convert(folder / "raw", data)
    told = transformed(data, folder / "told", partial(one_text_each, topics=topics(data)), seed)
    sasrec = fit("sasrec", data, folder / "runs", seed, {"trainer.max_epochs": str(EPOCHS["sasrec"])})
    branch = {**FITS["searchsasrec"], "trainer.max_epochs": str(BRANCH), "model.warm_start": str(sasrec)}
    pending = fit("searchsasrec", data, folder / "runs", seed, branch)
    whole = {**branch, "model.network.init_args.gram_dropout": "0"}
    reads_all = fit("searchsasrec", told, folder / "told-runs", seed, whole)

    asked = Asked(data)
    base, ours = asked.probabilities(sasrec), asked.probabilities(pending)
    mixed = np.where(asked.on_topic.any(1, keepdims=True), influence * asked.within + (1 - influence) * base, base)
    lists = {"pending": asked.top(ours), "told": Asked(told).top(Asked(told).probabilities(reads_all))}
    lists |= {"ordered": asked.reordered(lists["pending"], mixed), "mixed": asked.top(mixed)}
    theirs = asked.ndcg(asked.top(base))
    oracle = json.loads((folder / "raw" / "oracle.json").read_text("utf-8"))[f"ndcg@{K}"]["after_search"]
    wanted, surprise = oracle["with"] - oracle["without"], surprised(data, sasrec)
    rows = []
    for name, ranked in lists.items():
        gain = paired_interval(asked.ndcg(ranked), theirs, asked.user)
        rows.append(
            {
                "influence": influence,
                "seed": seed,
                "users": users,
                "ranker": name,
                "requests": len(theirs),
                "gain": gain.mean,
                "low": gain.low,
                "high": gain.high,
                "share": gain.mean / wanted,
                "on_topic": float(np.take_along_axis(asked.on_topic, ranked, 1).sum(1).mean()),
                "surprise": surprise,
            }
        )
    return rows


def fit(config: str, data: Path, runs: Path, seed: int, own: dict[str, str]) -> Path:
    """The checkpoint of a run."""
    common = ["--data.path", str(data), "--runs", str(runs), "--seed_everything", str(seed)]
    run(["fit", "--config", f"{config}_qilin", *common, "--model.exclude_seen", "true", *settings(own)])
    return next(runs.glob(f"{config}_qilin/*/checkpoint"))


def topics(data: Path) -> dict[str, str]:
    """The topic of each note."""
    return dict(atomic.read(data / f"{data.name}.item", ["item_id", TOPIC]).iter_rows())


def topic_of_search(search: pl.DataFrame, topics: dict[str, str]) -> list[str]:
    """By what was clicked in it; "" for the few without a click."""
    return [topics[clicked[0]] if clicked else "" for clicked in search["clicked"].to_list()]


def one_text_each(log: Log, seed: int, topics: dict[str, str]) -> Log:
    """All searches of a topic say what the first of them does."""
    search = log.search.with_columns(topic=pl.Series(topic_of_search(log.search, topics)))
    said = pl.when(pl.col("topic") == "").then("query_id").otherwise(pl.col("query_id").first().over("topic"))
    return replace(log, search=search.with_columns(query_id=said).select(log.search.columns))


class Asked:
    """The test requests after a search, and what is known of them; arrays are `[requests, items]`."""

    def __init__(self, data: Path) -> None:
        self.data = SequenceData(str(data), min_count=2)
        dataset = self.data.dataset
        self.questions = Questions(dataset, self.data.histories("test"), "test", (K,), exclude_seen=True)
        rows = np.concatenate([batch.request.numpy() for batch in self.data.test_dataloader()])
        self.chosen = self.questions.since_search(rows) <= MEMORY
        self.rows = rows[self.chosen]
        self.user = np.unique(dataset.requests.user[self.rows], return_inverse=True)[1]
        of, search = topics(data), atomic.read(data / f"{data.name}.search", ["user_id", "timestamp", "clicked"])
        made_by = search.select("user_id", "timestamp").iter_rows()
        latest = dict(zip(made_by, topic_of_search(search, of), strict=True))
        made = dataset.requests.timestamp[self.rows] - self.questions.since_search(self.rows)
        searched = [latest[dataset.users[u], t] for u, t in zip(dataset.requests.user[self.rows], made, strict=True)]
        topic = np.array(["-", *(of[token] for token in dataset.items.tokens)])
        self.on_topic = topic == np.array(searched)[:, None]
        clicks = dataset.requests.target.take(np.flatnonzero(dataset.requests.split == 0)).known().values
        weight = self.on_topic * np.bincount(clicks, minlength=len(topic))
        self.within = weight / np.maximum(weight.sum(1, keepdims=True), 1)
        seen = self.questions.seen(self.rows)
        self.left_out = np.zeros(self.on_topic.shape, bool)
        self.left_out[seen.group, seen.values] = True
        self.left_out[:, 0] = True

    @torch.no_grad()
    def probabilities(self, checkpoint: Path) -> np.ndarray:
        """Of each item to be clicked next, by a trained model."""
        network: Model = checkpoints.load(checkpoint).network.eval()
        table = network.item_vectors()
        found = torch.cat([network.encode(batch) @ table.T for batch in self.data.test_dataloader()])
        return found[torch.from_numpy(self.chosen)].double().softmax(1).numpy()

    def top(self, score: np.ndarray) -> np.ndarray:
        """`[requests, 10]` best items that were not clicked before."""
        return np.argsort(np.where(self.left_out, -np.inf, score), axis=1)[:, ::-1][:, :K]

    def reordered(self, ranked: np.ndarray, score: np.ndarray) -> np.ndarray:
        """The lists, with the places of items on the searched topic given to those of the highest score."""
        best = np.argsort(np.where(self.left_out | ~self.on_topic, -np.inf, score), axis=1)[:, ::-1]
        on = np.take_along_axis(self.on_topic, ranked, 1)
        return np.where(on, np.take_along_axis(best, np.maximum(on.cumsum(1) - 1, 0), 1), ranked)

    def ndcg(self, ranked: np.ndarray) -> np.ndarray:
        """`[requests]`"""
        target = self.questions.dataset.requests.target.take(self.rows)
        return evaluate(ranked.astype(np.int32), (target.offsets, target.values), (K,))[f"ndcg@{K}"]


@torch.no_grad()
def surprised(data: Path, checkpoint: Path) -> float:
    """Mean negative log-likelihood of what was clicked in validation less that of the training clicks."""
    module, network = SequenceData(str(data), min_count=2), checkpoints.load(checkpoint).network.eval()
    module.times = module.searches = False
    target, table, means = module.dataset.requests.target, network.item_vectors()[1:], []
    for loader in (module.train_dataloader(), module.val_dataloader()):
        losses = []
        for batch in loader:
            clicked = target.take(batch.request.numpy()).known()
            found = (network.encode(batch) @ table.T).log_softmax(1)
            losses.append(-found[torch.from_numpy(clicked.group), torch.from_numpy(clicked.values).long() - 1])
        means.append(float(torch.cat(losses).mean()))
    return means[1] - means[0]


def show(rows: list[dict]) -> None:
    table = Table(title="NDCG@10 right after a search: gain over SASRec", box=None)
    for name in ("influence", "seed", "ranker", "gain", "of the oracle's", "of 10 on topic", "surprise"):
        table.add_column(name, justify="right")
    for row in rows:
        gain = f"{row['gain']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
        rest = f"{row['share']:.0%}", f"{row['on_topic']:.1f}", f"{row['surprise']:.2f}"
        table.add_row(str(row["influence"]), str(row["seed"]), row["ranker"], gain, *rest)
    Console(width=120).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--influence", type=float, default=0.6)
    args = parser.parse_args()
    rows: list[dict] = []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(Path(folder), args.users, seed, args.influence)
        show(rows)
        save(rows, Path(__file__).parent / "results" / "search_gap.csv")
