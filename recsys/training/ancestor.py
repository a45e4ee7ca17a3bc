"""The run that a fit grows from, fitted first where there is none of that name."""

import inspect
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from recsys import models
from recsys.errors import InputError
from recsys.training.configs import find_config


def train_first(name: str, root: Path, settings: dict[str, Any]) -> None:
    """Fit the config `name` under `root`, on the same data and with the shape of what shall grow from it.

    In a process of its own: it is a run like any other, whose logger, devices and seeds are no business of this one's.

    Args:
        name: what `warm_start` says.
        root: folder of all runs.
        settings: the resolved ones of what grows.

    Raises:
        InputError: no such config; the fit failed; under torchrun, whose processes would each begin one.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        raise InputError(f"--model.warm_start {name}: no run of that name; under torchrun, fit it first.")
    file = find_config(name, f"--model.warm_start {name}: neither a finished run under {root} nor a config.")
    print(f"No run {name} under {root} to grow from: training it first.", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        common = Path(folder) / "common.yaml"
        common.write_text(yaml.safe_dump(backbone_settings(settings, file)), encoding="utf-8")
        place = ["--name", name, "--runs", str(root), "--seed_everything", str(settings["seed_everything"])]
        environment = {key: value for key, value in os.environ.items() if key != "RECSYS_RUN_DIR"}
        command = [sys.executable, "-m", "recsys", "fit", "--config", file, "--config", str(common), *place]
        if subprocess.run(command, env=environment, check=False).returncode:
            raise InputError(f"--model.warm_start {name}: the run to grow from failed, see above.")


def backbone_settings(settings: dict[str, Any], file: str) -> dict[str, Any]:
    """What the model of the config `file` shares with one that grows from it: data, shape, judgement and trainer.

    `settings` are the resolved ones of what grows.
    """
    wanted = yaml.safe_load(Path(file).read_text("utf-8"))["model"]["network"]["class_path"].rpartition(".")[2]
    shape = settings["model"]["network"]["init_args"]
    known = set(inspect.signature(getattr(models, wanted)).parameters) - {"dropout"}  # which is no matter of shape
    same = {key: value for key, value in shape.items() if key in known}
    judged = {key: settings["model"][key] for key in ("exclude_seen", "cutoffs", "average")}
    trainer = {key: value for key, value in settings["trainer"].items() if key != "num_sanity_val_steps"}
    model = {"network": {"init_args": same}, **judged}
    return {"data": settings["data"], "model": model, "trainer": trainer}
