"""`recsys demo`."""

import os
import shlex
import time
from pathlib import Path

from recsys.commands.parsing import call
from recsys.errors import InputError

FITS = {
    "sasrec": {},
    # the cloze task leaves popularity behind late: wider first weights, many masks, large steps that fade
    "bert4rec": {
        "model.network.init_args.layers": "1",
        "model.network.init_args.initializer_range": "0.125",
        "model.network.init_args.mask_ratio": "0.5",
        "model.network.init_args.last_ratio": "0.05",
        "model.network.init_args.dropout": "0.1",
        "model.learning_rate": "0.005",
        "model.warmup_steps": "100",
        "model.schedule": "linear",
        "trainer.max_epochs": "20",
        "early_stopping.patience": "20",
    },
    # the search branch learns from nothing beside a finished SASRec: larger steps, and few buckets for few queries; it
    # learns the more, the less the SASRec can rely on clicks that it knows by heart
    "searchsasrec": {
        "model.learning_rate": "0.005",
        "model.network.init_args.buckets": "8192",
        "model.network.init_args.dropout": "0.5",
    },
}
SMALL = {  # small data wants small steps, many of them, and more dropout than the configs for the real Qilin
    "data.batch_size": "16",
    "model.network.init_args.dropout": "0.3",
    "trainer.max_epochs": "12",
    "early_stopping.patience": "4",
    "trainer.log_every_n_steps": "20",
    "trainer.enable_model_summary": "false",
}


def settings(model: dict[str, str]) -> list[str]:
    """The flags of one fit: what suits small data, then what suits the model."""
    return [part for key, value in {**SMALL, **model}.items() for part in (f"--{key}", value)]


def demo(output: str = "demo", users: int = 1500, influence: float = 0.6, seed: int = 0) -> None:
    """The whole way on synthetic data: synthesize, convert, fit three models, test, compare, recommend.

    Everything goes into one folder and takes minutes on a laptop. What it measures says nothing about the real Qilin.

    Args:
        output: Folder for data and runs.
        users: Number of synthetic users.
        influence: Probability that a click soon after a search is on the searched topic; with 0, searches tell nothing
            and SearchSASRec should not beat SASRec.
        seed: Seed of data and training.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    root = Path(output)
    if root.exists() and any(root.iterdir()) and not (root / "raw" / "synthetic.json").is_file():
        raise InputError(f"--output {output}: holds something else than an earlier demo; name another folder.")
    started = time.monotonic()
    raw, data, runs = root / "raw", root / "data" / "qilin-synthetic", root / "runs" / time.strftime("%Y%m%d-%H%M%S")
    world = ["--users", str(users), "--influence", str(influence), "--seed", str(seed)]
    _run("synthesize", "--output", str(raw), *world)
    _run("convert", "qilin", "--source", str(raw), "--output", str(data))
    common = ["--data.path", str(data), "--runs", str(runs), "--seed_everything", str(seed)]
    for verb in ("fit", "test"):
        for model, own in FITS.items():
            _run(verb, "--config", f"{model}_qilin", *common, *settings(own))
    _run("compare", str(runs), "--baseline", "SASRec")
    _recommend(data, runs)
    print(
        f"\nDone in {time.monotonic() - started:.0f} s. The data is synthetic: these numbers say nothing about Qilin.\n"
        f"Influence of searches on clicks that was planted: {influence}. Everything lies in {root}/."
    )


def _recommend(data: Path, runs: Path) -> None:
    """A user whom no model has seen, before and after typing a query."""
    from recsys import atomic, checkpoints

    checkpoint = next(runs.glob("searchsasrec_qilin/*/checkpoint"))
    known = set(checkpoints.load(checkpoint).items.tokens)
    history = atomic.read(data / f"{data.name}.request", ["history"])["history"]
    clicked = next(mine for items in history.reverse() if len(mine := [i for i in items if i in known]) >= 3)
    query = "".join(atomic.read(data / f"{data.name}.query", ["query"])["query"][0])
    asked = ["--checkpoint", str(checkpoint), "--history", ",".join(clicked[-3:]), "--k", "5"]
    titles = ["--items", str(data / f"{data.name}.item")]
    _run("recommend", *asked, *titles)
    _run("recommend", *asked, *titles, "--query", query)


def _run(verb: str, *args: str) -> None:
    from importlib import import_module

    print(f"\n$ recsys {verb} {shlex.join(args)}", flush=True)
    import_module(f"recsys.commands.{verb}").main(list(args))


def main(args: list[str]) -> None:
    """Parse and run."""
    call(demo, args)
