"""What queries are worth on synthetic data: SearchSASRec minus SASRec, with searches that steer clicks and without.

    python benchmarks/search.py [--users 1500] [--seeds 0 1]

Both models see the same data; the difference is paired by request, its interval is a bootstrap over users. Beside it
stands what a ranker that knows the world gains from the searches (docs/synthetic.md).
"""

import argparse
import csv
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_SILENT", "true")

from rich.console import Console
from rich.table import Table

from recsys.commands.demo import FITS, settings
from recsys.experiments import compare, find_runs
from recsys.files import atomic_file
from recsys.qilin import convert, synthesize
from recsys.training.cli import run


def gain(folder: Path, users: int, seed: int, influence: float) -> dict[str, float]:
    """NDCG@10 of both models, their difference, and that of a ranker that knows the world."""
    data, runs = folder / "qilin-synthetic", folder / "runs"
    synthesize(folder / "raw", users=users, seed=seed, influence=influence)
    convert(folder / "raw", data)
    for model in ("sasrec", "searchsasrec"):
        common = ["--config", f"{model}_qilin", "--data.path", str(data), "--runs", str(runs)]
        run(["fit", *common, "--seed_everything", str(seed), *settings(FITS[model])])
        run(["test", *common, "--seed_everything", str(seed), *settings(FITS[model])])
    found = find_runs([runs])
    baseline = next(each for each in found if each.model == "SASRec")
    rows = {row.run.model: row for row in compare(found, "ndcg@10", baseline)[0]}
    difference = rows["SearchSASRec"].difference
    assert difference is not None
    told = json.loads((folder / "raw" / "oracle.json").read_text("utf-8"))["ndcg@10"]["all"]
    return {
        "influence": influence,
        "seed": seed,
        "users": users,
        "sasrec_ndcg@10": rows["SASRec"].value.mean,
        "searchsasrec_ndcg@10": rows["SearchSASRec"].value.mean,
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "oracle_difference": told["with"] - told["without"],
    }


def save(rows: list[dict[str, float]], path: Path) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: round(value, 4) for name, value in row.items()} for row in rows)


def show(rows: list[dict[str, float]]) -> None:
    table = Table(title="NDCG@10, full ranking, synthetic data", box=None)
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "search.csv")
    args = parser.parse_args()
    gains = []
    for influence in (0.6, 0.0):
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                gains.append(gain(Path(folder), args.users, seed, influence))
                show(gains[-1:])
    save(gains, args.results)
    show(gains)
