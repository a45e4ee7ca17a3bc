"""What a run says of itself: written into its folder and to every logger, so that it can be compared and repeated."""

import hashlib
import json
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import WandbLogger

import recsys
from recsys.files import atomic_file, sha256
from recsys.training.module import SequentialRecommender
from recsys.training.runs import CHECKPOINT
from recsys.training.throughput import Throughput

FILE = "run.json"
PACKAGES = ("torch", "lightning", "numpy", "polars", "wandb", "recbole")


def facts(trainer: pl.Trainer, module: SequentialRecommender) -> dict[str, Any]:
    """Model, data, sizes, device and versions, as far as they are known before the first step."""
    data, device = module.data, trainer.strategy.root_device
    return {
        "model": module.network.title,
        "data": data.dataset.name,
        "data_fingerprint": data.dataset.fingerprint,
        "seed": data.seed,
        "n_items": len(data.dataset.items) - 1,
        "n_parameters": sum(parameter.numel() for parameter in module.network.parameters()),
        "n_trained": sum(parameter.numel() for parameter in module.network.parameters() if parameter.requires_grad),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": trainer.world_size,
        "precision": str(trainer.precision),
        "command": " ".join(sys.argv),
        "commit": commit(),
        "versions": {"recsys-zoo": recsys.__version__, "python": platform.python_version(), **_versions()},
    }


def commit() -> str | None:
    """Of the source that runs, with a + where it has been changed since; None where it was installed without."""
    here = Path(recsys.__file__).parents[1]
    if not (here / ".git").exists():
        return None
    git = ["git", "-C", str(here)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + "+" * bool(changed)


def protocol_hash(protocols: Mapping[Any, Any]) -> str:
    """Equal for runs that were asked the same: of the protocols by name, as `Questions.describe` has them."""
    return hashlib.sha256(json.dumps(protocols, sort_keys=True).encode()).hexdigest()[:16]


def upload(run: Any, folder: Path, said: dict[str, Any]) -> None:
    """Give wandb a checkpoint folder; where it does not take it, that is said, and nothing else happens."""
    import wandb

    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in f"{run.name}-{CHECKPOINT}")
    try:
        artifact = wandb.Artifact(name, type="model", metadata=said)
        artifact.add_dir(str(folder))
        run.log_artifact(artifact)
    except Exception as error:  # the server is asked before anything is sent, and may have gone
        why = " ".join(str(error).split())[:200]
        print(f"{folder}: not logged as an artifact, wandb's server says {why}", file=sys.stderr)


class RunFacts(Callback):
    """Writes `run.json` when a fit begins and ends, and gives wandb what it does not get from Lightning."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        self.told = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what is about to happen; whoever is killed stays unfinished."""
        self._begin(trainer, pl_module, "unfinished")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log once what was asked."""
        if trainer.state.fn == "fit" and not self.told:
            self._tell_protocols(trainer, pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say how long it took; where wandb is online, the exported checkpoint becomes an artifact."""
        took = [callback.whole() for callback in trainer.callbacks if isinstance(callback, Throughput)]  # type: ignore[attr-defined]
        self._write(trainer, {"state": "finished", "ended": time.time(), **(took[0] if took else {})})
        self._log(trainer, {"facts": self.said})
        folder = Path(trainer.default_root_dir) / CHECKPOINT
        for run in _wandb_runs(trainer) if folder.is_dir() else ():
            if not run.offline:
                upload(run, folder, self.said)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """A fit that is interrupted can be taken up again, one that failed has failed."""
        if trainer.state.fn == "fit" and self.said and isinstance(exception, Exception):
            why = f"{type(exception).__name__}: {exception}"
            self._write(trainer, {"state": "failed", "ended": time.time(), "error": why})

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A test of weights from elsewhere has a run of its own."""
        if (Path(trainer.default_root_dir) / FILE).is_file():
            assert isinstance(pl_module, SequentialRecommender)
            self._log(trainer, {"facts": facts(trainer, pl_module)})
        else:
            self._begin(trainer, pl_module, "finished")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log what was asked, the intervals and the values per request."""
        self._tell_protocols(trainer, pl_module)
        folder = Path(trainer.default_root_dir)
        for run in _wandb_runs(trainer):
            result = json.loads((folder / "test.json").read_text("utf-8"))
            files = sorted([*folder.glob("test*.parquet"), folder / "test.json"])
            uploaded = [[file.name, sha256(file)] for file in files]
            run.summary.update({"intervals": result["intervals"], "files": uploaded})
            for file in files:
                run.save(str(file), base_path=str(folder), policy="now")

    def _begin(self, trainer: pl.Trainer, module: pl.LightningModule, state: str) -> None:
        assert isinstance(module, SequentialRecommender)
        self.said = facts(trainer, module)
        self._write(trainer, {"state": state, "started": time.time()})
        self._log(trainer, {"facts": self.said})

    def _write(self, trainer: pl.Trainer, more: dict[str, Any]) -> None:
        self.said |= more
        if trainer.is_global_zero:
            with atomic_file(Path(trainer.default_root_dir) / FILE) as file:
                file.write_text(json.dumps(self.said, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def _tell_protocols(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, SequentialRecommender)
        questions = module.questions
        protocols = {name: questions.describe(name) for name in questions.protocols}
        self._log(trainer, {"protocols": protocols, "protocol_hash": protocol_hash(protocols)})
        self.told = True

    @staticmethod
    def _log(trainer: pl.Trainer, values: dict[str, Any]) -> None:
        for logger in trainer.loggers:
            logger.log_hyperparams(values)


def _wandb_runs(trainer: pl.Trainer) -> list[Any]:
    return [
        logger.experiment for logger in trainer.loggers if isinstance(logger, WandbLogger) and trainer.is_global_zero
    ]


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
