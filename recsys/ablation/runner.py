"""Carry the controls out: each a normal run in a folder of its own, and none that is finished is run again."""

import io
import json
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from recsys.ablation.controls import CONTROLS, SAME_RUN, needed
from recsys.ablation.transforms import has_search_clicks, transformed
from recsys.checkpoints import published
from recsys.data.dataset import fingerprint
from recsys.errors import InputError, did_you_mean
from recsys.files import atomic_file
from recsys.metrics import METRICS
from recsys.training.ancestor import backbone_settings
from recsys.training.cli import run
from recsys.training.configs import find_config
from recsys.training.runs import CHECKPOINT, LAST, latest, trained

LOGGED = ("wandb", "project", "entity", "group", "tags")
PARTS = ("trainer", "model", "data", "early_stopping", "model_checkpoint", "save_every_n_steps", *LOGGED)
RESULT = "test.json"


@dataclass(frozen=True)
class Plan:
    """What is to be run: the resolved settings of both models, and which controls with which seeds."""

    folder: Path
    model: dict[str, Any]
    baseline: dict[str, Any]
    controls: list[str]
    seeds: list[int]
    left_out: dict[str, str]
    """Controls that this data does not allow, and why."""

    @property
    def data(self) -> Path:
        """The data set folder that all controls are made of."""
        return Path(self.model["data"]["path"])

    @property
    def runs(self) -> list[str]:
        """Controls with a run of their own."""
        return [name for name in self.controls if name not in SAME_RUN]

    def run_of(self, control: str, seed: int) -> Path | None:
        """The folder of a control's tested run; None as long as there is none."""
        return latest(self.folder / f"seed-{seed}", _slug(SAME_RUN.get(control, control)), RESULT)


def plan(
    folder: Path, args: list[str], baseline: str | None, seeds: list[int], controls: list[str], metric: str
) -> Plan:
    """Resolve what `recsys fit ARGS` would train, and the model without searches beside it.

    Args:
        folder: of the ablation; one that holds another is refused.
        args: the command line of a fit.
        baseline: config of the model without searches (default: what the config's `warm_start` names, or sasrec_qilin).
        seeds: of training, and of what the controls draw.
        controls: names, all where there are none.
        metric: what gains will be counted in.

    Raises:
        InputError: no such config, control, metric or data; a model or data without searches; a folder that holds
            something else.
    """
    for name in controls:
        if name not in CONTROLS:
            raise InputError(f"--controls {name!r}: no such control.{did_you_mean(name, CONTROLS)}")
    model = _resolved(args)
    module, _, kind = model["model"]["network"]["class_path"].rpartition(".")
    if not getattr(import_module(module), kind).uses_searches:
        raise InputError(f"--config: {kind} reads no searches; name the config of a model that does.")
    measured = [f"{name}@{k}" for name in METRICS for k in model["model"]["cutoffs"]]
    if metric.rpartition("/")[2] not in measured:
        raise InputError(f"--metric {metric}: not measured with these cutoffs.{did_you_mean(metric, measured)}")
    named = model["model"].get("warm_start")
    shipped = named if named and not Path(named).is_dir() and not published(named) else "sasrec_qilin"
    file = find_config(baseline or shipped, f"--baseline {baseline or shipped}: no such config.")
    shared = backbone_settings(model, file) | {name: model[name] for name in LOGGED if model.get(name) is not None}
    if named is None:  # nothing grows from it, so that it keeps its own shape
        shared["model"].pop("network")
    plain = _resolved(["--config", file], shared)
    data = Path(model["data"]["path"])
    if not (data / f"{data.resolve().name}.search").is_file():
        raise InputError(f"{data}: no {data.resolve().name}.search file, so there is nothing to ablate.")
    wanted, left_out = needed(controls or list(CONTROLS)), {}
    if not has_search_clicks(data):
        left_out = {name: "no click on a search result is marked as such" for name in wanted if CONTROLS[name].merged}
    made = Plan(folder, model, plain, [name for name in wanted if name not in left_out], seeds, left_out)
    _keep(made)
    return made


def carry_out(plan: Plan, progress: Callable[[str], None] = lambda _: None) -> None:
    """Run what has not been run; killed at any moment, it goes on there when it is called again."""
    todo = [(seed, name) for seed in plan.seeds for name in plan.runs]
    for number, (seed, name) in enumerate(todo, 1):
        place = f"{number} of {len(todo)}, seed {seed}, {name}"
        if plan.run_of(name, seed) is not None:
            progress(f"{place}: finished before")
            continue
        progress(f"{place}: {CONTROLS[name].says}")
        _carry_out(plan, name, seed)


def _carry_out(plan: Plan, name: str, seed: int) -> None:
    control = CONTROLS[name]
    root = plan.folder / f"seed-{seed}"
    data = plan.data
    if control.transform is not None:
        part = f"{control.transform.__name__}-{seed}" if control.drawn else control.transform.__name__
        data = transformed(plan.data, plan.folder / "data" / part, control.transform, seed)
    file = plan.folder / ("model.yaml" if control.searches else "baseline.yaml")
    args = ["--config", str(file), "--data.path", str(data), "--runs", str(root), "--name", _slug(name)]
    args += ["--seed_everything", str(seed)]
    args += [part for key, value in control.settings.items() for part in (f"--{key}", value)]
    if control.retrained:
        grown = []
        if control.searches and plan.model["model"].get("warm_start"):
            backbone = "feed only" if control.against == "feed only" else "baseline"
            grown = ["--model.warm_start", str(trained(root, _slug(backbone)))]
        if latest(root, _slug(name), CHECKPOINT) is None:
            stopped = latest(root, _slug(name), LAST) is not None
            run(["fit", *args, *grown, *(["--ckpt_path", "last"] if stopped else [])])
        weights = trained(root, _slug(name))
    else:
        weights = trained(root, "real")
    with redirect_stdout(io.StringIO()):  # the tables of every run; the page is what is read
        run(["test", *args, "--ckpt_path", str(weights)])


def _resolved(args: list[str], shared: dict[str, Any] | None = None) -> dict[str, Any]:
    """The settings that a fit of this command line would have; `shared` is put over those of its configs."""
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(said), suppress(SystemExit):
        over = Path(folder) / "shared.yaml"
        over.write_text(yaml.safe_dump(shared or {}), encoding="utf-8")
        run(["fit", *args, *(["--config", str(over)] if shared else []), "--print_config"])
    settings = {key: value for key, value in yaml.safe_load(said.getvalue()).items() if key in PARTS}
    logger = settings["trainer"].get("logger")
    for each in logger if isinstance(logger, list) else [logger]:
        if isinstance(each, dict):  # which run it logs is another matter for every control
            each["init_args"] = {k: v for k, v in each["init_args"].items() if k not in ("name", "save_dir")}
    settings["trainer"].pop("default_root_dir", None)
    settings["model_checkpoint"].pop("dirpath", None)
    return settings


def _keep(plan: Plan) -> None:
    """Write down what is run, or refuse to put it beside the runs of something else."""
    data = plan.model["data"]
    digest = fingerprint(plan.data, tuple(data["vocabulary"].split("+")), data["min_count"])
    files = {
        "model.yaml": yaml.safe_dump(plan.model),
        "baseline.yaml": yaml.safe_dump(plan.baseline),
        "data.json": json.dumps({"path": str(plan.data), "fingerprint": digest}) + "\n",
    }
    found = {name for name in files if (plan.folder / name).is_file()}
    if not found and plan.folder.is_dir() and any(plan.folder.iterdir()):
        raise InputError(f"--output {plan.folder}: holds something else than an ablation; name another folder.")
    for name in (name for name in files if name in found):
        if (plan.folder / name).read_text("utf-8") != files[name]:
            raise InputError(
                f"--output {plan.folder}: {name} there is of other settings or data; name another folder for these."
            )
    for name in files.keys() - found:
        with atomic_file(plan.folder / name) as file:
            file.write_text(files[name], encoding="utf-8")


def _slug(name: str) -> str:
    return name.replace(" ", "_")
