"""What queries are worth on synthetic data: SearchSASRec minus SASRec, with searches that steer clicks and without.

    python benchmarks/search.py [--users 1500] [--seeds 0 1]

Both models see the same data; the difference is paired by request, its interval is a bootstrap over users.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_SILENT", "true")

from recsys.commands.demo import FITS, settings
from recsys.experiments import compare, find_runs
from recsys.qilin import convert, synthesize
from recsys.training.cli import run


def gain(folder: Path, users: int, seed: int, influence: float) -> str:
    """One line: NDCG@10 of both models and their difference."""
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
    return (
        f"influence {influence:.1f}  seed {seed}  SASRec {rows['SASRec'].value.mean:.4f}  "
        f"SearchSASRec {rows['SearchSASRec'].value.mean:.4f}  "
        f"difference {difference.mean:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    args = parser.parse_args()
    lines = []
    for influence in (0.6, 0.0):
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                lines.append(gain(Path(folder), args.users, seed, influence))
                print(lines[-1], flush=True)
    print("\n".join(["", "NDCG@10, full ranking, synthetic data:", *lines]))
