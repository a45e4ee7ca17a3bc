"""Every shipped config on every data set at hand, measured by the commands that anyone would type.

    python benchmarks/leaderboard.py [--rows sasrec_ml-100k/0 ...] [--minutes 60] [--work FOLDER]
    python benchmarks/leaderboard.py --render      (docs/leaderboard.md and zoo_configs/README.md out of the CSV)

One row after another, the cheapest first, one thread each; a row that the file has already is left out, so that a
benchmark that was killed goes on where it was. `recsys reproduce ROW` runs a row again.
"""

import argparse
import os
import shlex
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

os.environ.setdefault("WANDB_SILENT", "true")

import yaml

from recsys.commands.demo import FITS, settings
from recsys.experiments.leaderboard import Plan, Row, read_leaderboard, write_leaderboard
from recsys.experiments.measuring import measure
from recsys.files import atomic_file
from recsys.progress import step

HERE = Path(__file__).parent
CONFIGS = HERE.parent / "zoo_configs"
BOARD, PAGE, SHELF = HERE / "leaderboard.csv", HERE.parent / "docs" / "leaderboard.md", CONFIGS / "README.md"
ML_100K, QILIN = "data/ml-100k", "data/qilin-synthetic"
PREPARE = {
    ML_100K: f"recsys convert ml-100k --output {ML_100K}",
    QILIN: "recsys synthesize --output data/raw-synthetic --users 1500 --influence 0.6 --seed 0 && "
    f"recsys convert qilin --source data/raw-synthetic --output {QILIN}",
}
SEARCH = FITS["searchsasrec"]
INTERLEAVED = {"model.network.init_args.buckets": SEARCH["model.network.init_args.buckets"]}  # it grows from nothing
END_TO_END = {**INTERLEAVED, "trainer.max_epochs": "30"}  # as do these, and more slowly
LAYERS = "model.network.init_args.layers"
GROWN = {**SEARCH, LAYERS: FITS["bert4rec"][LAYERS]}  # shaped as the BERT4Rec that it grows from
# These leave popularity behind as late as BERT4Rec does: its steps, not its network
LATE = {key: value for key, value in FITS["bert4rec"].items() if not key.startswith("model.network.")}
# What suits a config for Qilin on small data, beside what `recsys demo` sets for all; the cheap ones first
OWN = {
    "sasrec_qilin": FITS["sasrec"],
    "searchsasrec_qilin": SEARCH,
    "searchsasrec-cross_qilin": SEARCH,
    "searchsasrec-interleave_qilin": INTERLEAVED,
    "esasrec_qilin": LATE,
    "hstu_qilin": LATE,
    "bert4rec_qilin": FITS["bert4rec"],
    "searchbert4rec_qilin": GROWN,
    "sesrec_qilin": END_TO_END,
    "unisar_qilin": END_TO_END,
}
ON_ML_100K = ("sasrec_ml-100k", "esasrec_ml-100k", "bert4rec_ml-100k", "hstu_ml-100k")
RECBOLE = (
    *("FPMC", "FOSSIL", "TransRec", "HRM", "NPE", "SHAN", "STAMP", "GRU4Rec", "NARM", "SASRec", "LightSANs", "CORE"),
    *("HGN", "Caser", "SINE", "NextItNet", "BERT4Rec", "GRU4RecF", "SASRecF", "FDSA", "GRU4RecCPR", "SASRecCPR"),
    *("SRGNN", "GCSAN", "RepeatNet"),
)


def plans() -> list[Plan]:
    """All that is to be measured, in this order: what is cheap first, and every config before any comes again."""
    first, *more = ([on_qilin(config, seed) for config in shipped("*_qilin.yaml", OWN)] for seed in (0, 1, 2))
    own = [[on_ml_100k(config, seed) for config in shipped("*_ml-100k.yaml", ON_ML_100K)] for seed in (0, 1, 2)]
    recbole = [on_ml_100k(config, 0) for config in shipped("recbole/*.yaml", RECBOLE)]
    return [*first, *own[0], *more[0], *recbole, *more[1], *own[1], *own[2]]


def shipped(pattern: str, ordered: Iterable[str]) -> list[str]:
    """The shipped configs of a kind, in that order; others behind them."""
    names = {file.stem for file in CONFIGS.glob(pattern)}
    return [*(name for name in ordered if name in names), *sorted(names - {*ordered})]


def on_qilin(config: str, seed: int) -> Plan:
    """The fit that a config grows from, its own, and its test."""
    common = ["--data.path", QILIN, "--seed_everything", str(seed)]
    base = yaml.safe_load((CONFIGS / f"{config}.yaml").read_text("utf-8"))["model"].get("warm_start")
    of = {name: ["--config", name, *common, *settings(OWN.get(name, {}))] for name in (base, config) if name}
    return plan(config, QILIN, seed, [*(["fit", *flags] for flags in of.values()), ["test", *of[config]]])


def on_ml_100k(config: str, seed: int) -> Plan:
    """As shipped."""
    common = ["--config", config, "--seed_everything", str(seed)]
    return plan(config, ML_100K, seed, [["fit", *common], ["test", *common]])


def plan(config: str, data: str, seed: int, commands: list[list[str]]) -> Plan:
    joined = " && ".join(f"recsys {shlex.join(command)}" for command in commands)
    return Plan(f"{config}/{seed}", config, Path(data).name, seed, PREPARE[data], joined)


INTRODUCTION = """# Leaderboard

What each shipped config reaches on each data set that is at hand, and at what cost. This page is made of
[leaderboard.csv](../benchmarks/leaderboard.csv) by `python benchmarks/leaderboard.py --render`; without `--render` the
same script measures what is missing, row by row. Any row can be run again:

```sh
recsys reproduce sasrec_qilin/0    # config and seed; without the seed, all of them
```

The same versions on the same machine have to give the same digits. Elsewhere sums are rounded otherwise, and each
metric has to lie in the interval of the row. If one does not, the exit code is 2.

- Metrics are of the test split, means over the seeds; brackets hold the 95 % interval over users, the mean of the
  seeds' own. One seed is no experiment: configs whose intervals overlap are not told apart here. `recsys compare`
  takes differences in pairs, which tells more.
- CPU s, wall s and GB are of the fits alone, start and validation included, means over the seeds: one thread on a
  machine that others used at the same time, so that wall seconds say little, and seconds of rows of different devices
  do not compare. A config that grows from another counts the fit of that one too.
- Weights are chosen by NDCG@10 on validation; no test figure chose anything.
"""
HEADINGS = (
    *("config", "model", "NDCG@10", "each seed", "Recall@10", "MRR@10", "exposed, NDCG@10"),
    *("parameters", "CPU s", "wall s", "GB", "device"),
)
NOTES = {
    "qilin-synthetic": """Synthetic data, as `recsys demo` makes them: clicks follow searches by plan, and nothing here
says anything about the real Qilin. Steps, dropout and batches are those of the demo, for small data (see the commands);
eSASRec and HSTU take the steps of its BERT4Rec.""",
    "ml-100k": """MovieLens-100k, leave-one-out. The configs are as shipped. Caser, FOSSIL, FPMC, HGN, HRM, NPE, SHAN
and TransRec have a vector for each user of the data set, and can answer for nobody else. LightSANs was killed after 38
of its 49 epochs and went on by `--ckpt_path last`, on a machine about half as fast as the others' (AVX2, not AVX512);
seconds by the clock stand for the CPU seconds of its first part.""",
}


def page(rows: Sequence[Row]) -> str:
    """docs/leaderboard.md."""
    parts = [INTRODUCTION]
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.data, row.protocol, row.fingerprint), []).append(row)
    for (data, protocol, fingerprint), found in groups.items():
        parts += [f"## {data}\n", NOTES.get(data, ""), f"\n{table(found)}", f"Protocol: {protocol}.\n"]
        parts.append(f"Data: fingerprint `{fingerprint[:12]}`, made by\n\n{shell(found[0].prepare)}")
    missing = {each.config: None for each in plans() if each.config not in {row.config for row in rows}}
    parts.append("## Not measured\n")
    parts.append(", ".join(f"`{name}`" for name in missing) + ".\n" if missing else "Nothing: all are above.\n")
    parts.append("## Commands and versions\n")
    for name, of_name in by_name(rows).items():
        first = of_name[0]
        seeds = ", ".join(str(row.seed) for row in of_name)
        said = dict.fromkeys(f"{row.device}: {row.machine}; {row.versions}" for row in of_name)
        parts.append(f"`{name}`, seeds {seeds}; {' / '.join(said)}\n\n{shell(first.command)}")
    return "\n".join(part for part in parts if part).rstrip() + "\n"


def table(rows: Sequence[Row]) -> str:
    """Configs by NDCG@10, with popularity in its place."""
    lines = []
    for name, found in by_name(rows).items():
        each = ", ".join(f"{row.metrics['ndcg@10'].mean:.4f}" for row in found)
        metrics = [mean(found, metric) for metric in ("recall@10", "mrr@10", "exposed/ndcg@10")]
        costs = [f"{fmean(row.cpu_s for row in found):,.0f}", f"{fmean(row.wall_s for row in found):,.0f}"]
        costs.append(f"{max(row.peak_memory_gb for row in found):.2f}")
        costs.append(", ".join(dict.fromkeys(row.device for row in found)))
        cells = [f"`{name}`", found[0].model, interval(found, "ndcg@10"), each, *metrics]
        lines.append((found_mean(found, "ndcg@10"), [*cells, f"{found[0].parameters:,}", *costs]))
    if any("popular/ndcg@10" in row.metrics for row in rows):
        empty = [""] * (len(HEADINGS) - 3)
        popular = found_mean(rows, "popular/ndcg@10")
        lines.append((popular, ["popularity", "", interval(rows, "popular/ndcg@10"), *empty]))
    ordered = [cells for _, cells in sorted(lines, key=lambda line: -line[0])]
    ruled = [list(HEADINGS), ["---"] * len(HEADINGS), *ordered]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in ruled)


CATALOGUE = """# Configs

`--config NAME` finds a shipped config by name; its first lines say how it is run and where its values come from. Any
value can be overridden by a flag, and several configs compose. `spaces/` holds what [`recsys sweep`](../docs/sweeps.md)
tries.

NDCG@10 is of the test, the mean over the seeds measured; CPU s are those of the fit. The configs for Qilin were
measured on **synthetic** Qilin, with the demo's settings for small data: the real one could not be had where these were
written. Intervals, commands and all that was measured besides stand in the [leaderboard](../docs/leaderboard.md), which
this table is made from (`python benchmarks/leaderboard.py --render`); `recsys reproduce` runs a row of it again.

| config | | NDCG@10 | seeds | CPU s |
| --- | --- | --- | --- | --- |
"""


def catalogue(rows: Sequence[Row]) -> str:
    """zoo_configs/README.md: every config, with the first sentence of its header."""
    measured, lines = by_name(rows), []
    for config in dict.fromkeys(plan.config for plan in plans()):
        (file,) = CONFIGS.rglob(f"{config}.yaml")
        title = file.read_text("utf-8").splitlines()[0].removeprefix("# ").rstrip(".")
        cells = ["not measured", "", ""]
        if found := measured.get(config):
            spent = fmean(row.cpu_s for row in found)
            cells = [f"{found_mean(found, 'ndcg@10'):.4f}", str(len(found)), f"{spent:,.0f}"]
        name = file.relative_to(CONFIGS).as_posix()
        lines.append(f"| [`{config}`]({name}) | {title} | {' | '.join(cells)} |\n")
    return CATALOGUE + "".join(lines)


def by_name(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each config, seed by seed."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.seed):
        found.setdefault(row.row.rpartition("/")[0], []).append(row)
    return found


def found_mean(rows: Sequence[Row], metric: str) -> float:
    return fmean(row.metrics[metric].mean for row in rows)


def mean(rows: Sequence[Row], metric: str) -> str:
    return f"{found_mean(rows, metric):.4f}" if all(metric in row.metrics for row in rows) else ""


def interval(rows: Sequence[Row], metric: str) -> str:
    low, high = (fmean(getattr(row.metrics[metric], end) for row in rows) for end in ("low", "high"))
    return f"{found_mean(rows, metric):.4f} [{low:.4f}, {high:.4f}]"


def shell(commands: str) -> str:
    lines = commands.replace(" && ", "\n")
    return f"```sh\n{lines}\n```\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", help="Rows or configs; all if left out.")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="Begin no row after so many minutes.")
    parser.add_argument("--work", type=Path, default=Path("leaderboard"), help="Folder for data and runs.")
    parser.add_argument("--render", action="store_true", help="Only write the two pages.")
    args = parser.parse_args()
    started = time.monotonic()
    for each in [] if args.render else plans():
        rows = read_leaderboard(BOARD) if BOARD.is_file() else []
        wanted = args.rows is None or each.row in args.rows or each.config in args.rows
        if wanted and each.row not in {row.row for row in rows} and time.monotonic() - started < args.minutes * 60:
            write_leaderboard(BOARD, [*rows, measure(each, args.work, step)])
    measured = read_leaderboard(BOARD)
    for place, text in ((PAGE, page(measured)), (SHELF, catalogue(measured))):
        with atomic_file(place) as file:
            file.write_text(text, encoding="utf-8")
