"""`recsys sweep`."""

import os
import sys
import tempfile
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from recsys.commands.parsing import call
from recsys.errors import InputError
from recsys.experiments.space import Space, corners, flat, overridden, read_space
from recsys.experiments.sweep import BEST, Outcome, Sweep
from recsys.experiments.sweep import sweep as run
from recsys.experiments.trials import slots, visible
from recsys.progress import step

PLACED = ("--runs", "--name", "--ckpt_path")
SHOWN = 10


def sweep(
    fit: list[str],
    space: str,
    trials: int = 20,
    output: str | None = None,
    jobs: int | None = None,
    prune: bool = False,
    seed: int = 0,
) -> None:
    """Search settings of a config: Optuna proposes values, each is tried by a `recsys fit`, validation decides.

    Every other flag is one of `recsys fit`, --config first of all. Called again after a kill, it goes on.

    Args:
        fit: The flags that all trials share.
        space: YAML file with what to try, or a shipped one's name (sasrec); keys are the flags of `recsys fit`.
        trials: Number of trials, those of earlier calls counted in.
        output: Folder of the sweep and its runs (default: sweeps/NAME, with the config's name).
        jobs: Trials at a time (default: one for each GPU, or one).
        prune: End trials early that are worse than the median of the others at the same epoch.
        seed: Of what is proposed.
    """
    if trials < 1 or (jobs is not None and jobs < 1):
        raise InputError("--trials and --jobs must be at least 1.")
    from recsys.training.cli import resolved
    from recsys.training.configs import find_config

    step("Reading config and space")
    flags = {flag.partition("=")[0] for flag in fit}
    for flag in PLACED:
        if flag in flags:
            raise InputError(f"{flag}: a sweep places its runs itself; name its folder by --output.")
    everything = resolved(fit)
    dimensions = read_space(Path(find_config(space, f"--space {space}: no such file.", spaces=True)), everything)
    for key in dimensions:
        if f"--{key}" in flags:
            raise InputError(f"--{key}: is in {space} too; leave one out.")
    config = resolved(fit, everything=False)
    check_values(config, dimensions)
    gpus = devices(everything["trainer"])
    folder = Path(output or f"sweeps/{everything['name']}")
    asked = Sweep(folder, config, everything, dimensions, trials, seed, prune, (sys.executable, "-m", "recsys", "fit"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = run(asked, slots(jobs, gpus, cores, os.environ), step)
    print_outcomes(found, asked)


def check_values(config: dict[str, Any], space: Space) -> None:
    """Have the real parser see every choice and both ends of every range, before anything is fitted."""
    from recsys.training.cli import resolved

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trial.yaml"
        for values in corners(space):
            file.write_text(yaml.safe_dump(overridden(config, values)), encoding="utf-8")
            taken = dict(flat(resolved(["--config", str(file)])))
            for key, value in values.items():
                if key.endswith(".class_path"):
                    continue
                if taken.get(key) != value:
                    raise InputError(f"--space: {key} {value!r} would become {taken.get(key)!r}; write it so.")


def devices(trainer: Mapping[str, Any]) -> list[str]:
    """The GPUs that trials may use, as CUDA_VISIBLE_DEVICES names them; none where the config trains on the CPU.

    Raises:
        InputError: the config asks for more than the one GPU that a trial sees.
    """
    import torch

    if trainer["accelerator"] not in ("auto", "gpu", "cuda"):
        return []
    found = visible(os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count())
    if found and str(trainer["devices"]) not in ("auto", "1", "-1", "[0]"):
        raise InputError(f"--trainer.devices {trainer['devices']}: a trial of a sweep sees one GPU; leave it out.")
    return found


def print_outcomes(found: list[Outcome], asked: Sweep) -> None:
    """The best trials, and what to do with the very best."""
    console = Console(width=max(Console().width, 120))
    best, states = found[0], [each.state for each in found]
    title = ", ".join(f"{states.count(state)} {state}" for state in ("complete", "pruned", "failed") if state in states)
    table = Table("trial", asked.monitor, "seconds", *(key.rpartition(".")[2] for key in asked.space), title=title)
    for each in found[:SHOWN]:
        params = [
            f"{each.params[key]:.4g}" if isinstance(each.params[key], float) else str(each.params[key])
            for key in asked.space
        ]
        value = each.state if each.value is None else f"{each.value:.4f}"
        table.add_row(str(each.number), value, f"{each.seconds:.0f}", *params)
    console.print(table)
    print(f"Chosen on validation: trial {best.number}. Its config: recsys fit --config {asked.folder / BEST}")


def main(args: list[str]) -> None:
    """Parse its own flags, and leave the others to `recsys fit`."""
    own, fit = split(args, {*signature(sweep).parameters} - {"fit"})
    call(sweep, own, given={"fit": fit})


def split(args: list[str], names: set[str]) -> tuple[list[str], list[str]]:
    """The flags of those names (and --help) with their values, and all others, as they are."""
    own: list[str] = []
    others: list[str] = []
    into = others
    for arg in args:
        if arg.startswith("-") and not arg.removeprefix("-")[:1].isdigit():
            name = arg.partition("=")[0].removeprefix("--").replace("-", "_")
            into = own if name in names or arg in ("-h", "--help") else others
        into.append(arg)
    return own, others
