"""The models on MovieLens-100k, leave-one-out: each shipped config, fitted and tested once per seed.

    python benchmarks/ml_100k.py [--configs bert4rec_ml-100k] [--seeds 0 1 2] [--work FOLDER]

What was run takes the place of its own rows in results/ml-100k.csv. Set OMP_NUM_THREADS=1 to measure one core.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("WANDB_SILENT", "true")

import polars as pl

from recsys.commands.convert import main as convert
from recsys.files import atomic_file
from recsys.training.cli import run

RESULTS = Path(__file__).parent / "results" / "ml-100k.csv"
CONFIGS = ("sasrec_ml-100k", "bert4rec_ml-100k", "esasrec_ml-100k", "hstu_ml-100k")
METRICS = ("val/ndcg@10", "test/ndcg@10", "test/recall@10")


def measure(config: str, seed: int, work: Path) -> dict[str, object]:
    """One row: the best validation, and the test of those weights."""
    common = ["--config", config, "--data.path", str(work / "ml-100k"), "--runs", str(work / "runs")]
    common += ["--seed_everything", str(seed), "--trainer.enable_progress_bar", "false"]
    started = time.process_time()
    fit = run(["fit", *common])
    print(f"{config}, seed {seed}: {fit.trainer.current_epoch} epochs in {time.process_time() - started:.0f} CPU s")
    best = fit.trainer.checkpoint_callback.best_model_score  # type: ignore[union-attr]
    scores = {"val/ndcg@10": float(best)} | run(["test", *common]).model.scores
    return {"config": config, "seed": seed} | {name: round(scores[name], 4) for name in METRICS}


def record(row: dict[str, object]) -> None:
    """Put the row in the place of the one of the same config and seed."""
    rows = pl.DataFrame([row])
    if RESULTS.exists():
        others = pl.read_csv(RESULTS).join(rows, on=["config", "seed"], how="anti")
        rows = pl.concat([others, rows], how="diagonal_relaxed")
    with atomic_file(RESULTS) as file:
        rows.sort("config", "seed").select(list(row)).write_csv(file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configs", nargs="+", default=CONFIGS, choices=CONFIGS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=Path("runs/benchmark"), help="Folder for data and runs.")
    args = parser.parse_args()
    if not (args.work / "ml-100k").is_dir():
        convert(["ml-100k", "--output", str(args.work / "ml-100k")])
    for config in args.configs:
        for seed in args.seeds:
            record(measure(config, seed, args.work))
    rows = pl.read_csv(RESULTS)
    print(rows, rows.group_by("config", maintain_order=True).agg(pl.mean(*METRICS).round(4)), sep="\n")
