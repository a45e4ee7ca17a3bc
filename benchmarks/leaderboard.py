"""Every shipped config on every data set at hand, measured by the commands that anyone would type.

    python benchmarks/leaderboard.py [--rows sasrec_ml-100k/0 ...] [--minutes 60] [--work FOLDER]
    python benchmarks/leaderboard.py --render      (docs/leaderboard.md out of benchmarks/leaderboard.csv)

One row after another, the cheapest first, one thread each; a row that the file has already is left out, so that a
benchmark that was killed goes on where it was. `recsys reproduce ROW` runs a row again.
"""

import argparse
import os
import shlex
import time
from pathlib import Path

os.environ.setdefault("WANDB_SILENT", "true")

from recsys.commands.demo import FITS, settings
from recsys.commands.output import step
from recsys.experiments.leaderboard import Plan, read_leaderboard, write_leaderboard
from recsys.experiments.measuring import measure

HERE = Path(__file__).parent
BOARD = HERE / "leaderboard.csv"
ML_100K, QILIN = "data/ml-100k", "data/qilin-synthetic"
PREPARE = {
    ML_100K: f"recsys convert ml-100k --output {ML_100K}",
    QILIN: "recsys synthesize --output data/raw-synthetic --users 1500 --influence 0.6 --seed 0 && "
    f"recsys convert qilin --source data/raw-synthetic --output {QILIN}",
}
SEARCH = FITS["searchsasrec"]
INTERLEAVED = {"model.network.init_args.buckets": SEARCH["model.network.init_args.buckets"]}  # it grows from nothing
LAYERS = "model.network.init_args.layers"
GROWN = {**SEARCH, LAYERS: FITS["bert4rec"][LAYERS]}  # shaped as the BERT4Rec that it grows from
# These leave popularity behind as late as BERT4Rec does: its steps, not its network
LATE = {key: value for key, value in FITS["bert4rec"].items() if not key.startswith("model.network.")}
# As in `recsys demo`: a config, its settings for small data, and the config that it grows from
ON_QILIN = (
    ("sasrec", FITS["sasrec"], None),
    ("searchsasrec", SEARCH, "sasrec"),
    ("searchsasrec-cross", SEARCH, "sasrec"),
    ("searchsasrec-interleave", INTERLEAVED, None),
    ("esasrec", LATE, None),
    ("hstu", LATE, None),
    ("bert4rec", FITS["bert4rec"], None),
    ("searchbert4rec", GROWN, "bert4rec"),
)
ON_ML_100K = ("sasrec", "esasrec", "bert4rec", "hstu")
# Those that train on every target in a row of its own come last
RECBOLE = (
    *("FPMC", "FOSSIL", "TransRec", "HRM", "NPE", "SHAN", "STAMP", "GRU4Rec", "NARM", "SASRec", "LightSANs", "CORE"),
    *("HGN", "Caser", "SINE", "NextItNet", "BERT4Rec", "GRU4RecF", "SASRecF", "FDSA", "GRU4RecCPR", "SASRecCPR"),
    *("SRGNN", "GCSAN", "RepeatNet"),
)


def plans() -> list[Plan]:
    """All that is to be measured, in this order: what is cheap first, and every config before any comes again."""
    first, *more = ([on_qilin(*each, seed) for each in ON_QILIN] for seed in (0, 1, 2))
    own = [[on_ml_100k(f"{model}_ml-100k", seed) for model in ON_ML_100K] for seed in (0, 1, 2)]
    recbole = [on_ml_100k(model, 0) for model in RECBOLE]
    return [*first, *own[0], *more[0], *recbole, *more[1], *own[1], *own[2]]


def on_qilin(model: str, own: dict[str, str], base: str | None, seed: int) -> Plan:
    common = ["--data.path", QILIN, "--seed_everything", str(seed)]
    of = {name: ["--config", f"{name}_qilin", *common, *settings(flags)] for name, flags, _ in ON_QILIN}
    fits = [["fit", *of[name]] for name in (base, model) if name is not None]
    return plan(f"{model}_qilin", QILIN, seed, [*fits, ["test", *of[model]]])


def on_ml_100k(config: str, seed: int) -> Plan:
    common = ["--config", config, "--seed_everything", str(seed)]
    return plan(config, ML_100K, seed, [["fit", *common], ["test", *common]])


def plan(config: str, data: str, seed: int, commands: list[list[str]]) -> Plan:
    joined = " && ".join(f"recsys {shlex.join(command)}" for command in commands)
    return Plan(f"{config}/{seed}", config, Path(data).name, seed, PREPARE[data], joined)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", help="Rows or configs; all if left out.")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="Begin no row after so many minutes.")
    parser.add_argument("--work", type=Path, default=Path("leaderboard"), help="Folder for data and runs.")
    args = parser.parse_args()
    started = time.monotonic()
    for each in plans():
        rows = read_leaderboard(BOARD) if BOARD.is_file() else []
        wanted = args.rows is None or each.row in args.rows or each.config in args.rows
        if wanted and each.row not in {row.row for row in rows} and time.monotonic() - started < args.minutes * 60:
            write_leaderboard(BOARD, [*rows, measure(each, args.work, step)])
