"""`recsys fit | validate | test | predict`: LightningCLI, with runs in folders of their own and no surprises."""

import contextlib
import inspect
import io
import logging
import sys
import warnings
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import WandbLogger

from recsys import checkpoints, losses, models
from recsys.arguments import explain, keys
from recsys.data import SequenceData
from recsys.errors import InputError
from recsys.progress import step
from recsys.training.ancestor import train_first
from recsys.training.callbacks import ExportCheckpoint, RequestResults, SaveRunConfig, StepSeeds, WritePredictions
from recsys.training.configs import find_config
from recsys.training.facts import RunFacts
from recsys.training.memory import ReturnMemory
from recsys.training.module import SequentialRecommender
from recsys.training.runs import CHECKPOINT, LAST, discard, latest, new_run, trained
from recsys.training.throughput import Throughput
from recsys.training.tracking import apply_flags, begin, ended
from recsys.training.warm_start import fits_data

__all__ = ["RecsysCLI", "WandbLogger", "run"]

MONITOR = "val/ndcg@10"


class Parser(LightningArgumentParser):
    """Answers a misspelt key with the nearest one."""

    def error(self, message: str, ex: Exception | None = None) -> Any:
        """Exit with code 2 and one sentence."""
        raise InputError(explain(message, {*keys(self), *_classes(), *_options()}))


class RecsysCLI(LightningCLI):
    """The four Lightning verbs over `SequentialRecommender` and `SequenceData`."""

    def __init__(self, args: list[str]) -> None:
        self.verb = args[0]
        self.made: Path | None = None
        """The folder of a run that is no earlier one."""
        try:
            with ended():
                super().__init__(
                    SequentialRecommender,
                    SequenceData,
                    save_config_callback=SaveRunConfig,
                    save_config_kwargs={"save_to_log_dir": False},
                    seed_everything_default=0,
                    parser_class=Parser,
                    args=args,
                )
        except InputError:
            if self.made is not None and ("trainer" not in vars(self) or self.trainer.global_step == 0):
                discard(self.made)
            raise

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # static, and it knows no arguments
        """Only the verb that is asked for: the arguments of each take longer to find than to parse."""
        return {verb: skipped for verb, skipped in LightningCLI.subcommands().items() if verb == self.verb}

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """No abbreviations: a misspelt flag is an error, not another flag."""
        return super().init_parser(**{**kwargs, "allow_abbrev": False})

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Runs, early stopping and checkpoints, and what the model takes over from the data."""
        parser.add_argument("--name", type=str, default="run", help="Name of the run: results go to RUNS/NAME/TIME.")
        parser.add_argument("--runs", type=str, default="runs", help="Folder of all runs.")
        parser.add_argument(
            "--save_every_n_steps",
            type=int | None,
            help="Save the state for --ckpt_path last every so many steps as well (default: after each epoch only).",
        )
        parser.add_argument(
            "--wandb",
            type=Literal["offline", "online", "disabled"] | None,
            help="Where wandb logs to (default: as trainer.logger says, which is offline).",
        )
        parser.add_argument("--project", type=str | None, help="Project of wandb's.")
        parser.add_argument("--entity", type=str | None, help="User or team of wandb's that the project belongs to.")
        parser.add_argument("--group", type=str | None, help="Group of runs, as wandb shows them together.")
        parser.add_argument("--tags", nargs="+", type=str, help="Tags of the run, as in --tags paper seed0.")
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.add_lightning_class_args(ModelCheckpoint, "model_checkpoint")
        parser.set_defaults(
            {
                "model.loss": {"class_path": "recsys.losses.Softmax"},
                "trainer.logger": {
                    "class_path": "WandbLogger",
                    "init_args": {"project": "recsys-zoo", "offline": True},
                },
                "early_stopping.monitor": MONITOR,
                "early_stopping.mode": "max",
                "early_stopping.patience": 10,
                "early_stopping.strict": False,  # a fit of fewer steps than an epoch ends before anything is validated
                "model_checkpoint.monitor": MONITOR,
                "model_checkpoint.mode": "max",
                "model_checkpoint.filename": "best",
                "model_checkpoint.enable_version_counter": False,
            }
        )
        parser.link_arguments("early_stopping.monitor", "model_checkpoint.monitor")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.link_arguments("data.max_len", "model.network.init_args.max_len")
        parser.link_arguments("data.n_items", "model.network.init_args.n_items", apply_on="instantiate")
        parser.link_arguments("data.vector_width", "model.network.init_args.vector_width", apply_on="instantiate")
        parser.link_arguments("data.n_users", "model.network.init_args.n_users", apply_on="instantiate")
        parser.link_arguments("data.item_columns", "model.network.init_args.features", apply_on="instantiate")

    def _parse_ckpt_path(self) -> None:
        """Lightning would let the hyperparameters of a checkpoint override the command line; what was typed counts."""

    def before_instantiate_classes(self) -> None:
        """Choose the run's folder and the weights, and send logs and checkpoints there."""
        config = self.config[self.subcommand]
        root = Path(config.runs)
        self.weights: Path | None = None
        self.grows_from: Path | None = None
        if self.subcommand == "fit" and config.model.get("warm_start"):
            self._find_ancestor(root, config)
        folder = self._resume(root, config) if self.subcommand == "fit" else self._trained(root, config)
        config.trainer.default_root_dir = str(folder)
        config.model_checkpoint.dirpath = str(folder / "checkpoints")
        if self.subcommand == "test":
            config.verbose = False  # RequestResults prints a table that fits the screen
        apply_flags(config, folder)
        # ModelCheckpoint.save_last keeps the last epoch that was the best so far, which is not where a run ended
        last = {"dirpath": folder / LAST.parent, "filename": LAST.stem, "enable_version_counter": False}
        steps = config.save_every_n_steps
        if steps is not None and steps < 1:
            raise InputError(f"--save_every_n_steps {steps}: must be at least 1.")
        self.trainer_defaults["callbacks"] = [
            ModelCheckpoint(**last),
            *([ModelCheckpoint(**last, every_n_train_steps=steps), StepSeeds()] if steps else []),
            Throughput(),
            ReturnMemory(),
            ExportCheckpoint(config.early_stopping.monitor),
            RequestResults(),
            RunFacts(),
            *([WritePredictions()] if self.subcommand == "predict" else []),
        ]

    def after_instantiate_classes(self) -> None:
        """Have wandb begin, and load exported weights, when that is what is to be tested."""
        begin(self.trainer)
        self.model.grows_from = self.grows_from
        if self.weights is not None:
            checkpoint = checkpoints.load(self.weights)
            fits_data(checkpoint, self.datamodule, self.named)
            try:
                self.model.network.load_state_dict(checkpoint.network.state_dict())
            except RuntimeError as error:
                raise InputError(
                    f"{self.named}: holds a {checkpoint.network.title} that does not fit the configured "
                    f"{self.model.network.title} ({error})."
                ) from error

    def _find_ancestor(self, root: Path, config: Any) -> None:
        """Fetch or train what `warm_start` names, unless it is there; the name of a run becomes its folder."""
        name = config.model.warm_start
        if Path(name).is_dir():
            return
        if latest(root, name, CHECKPOINT) is None:
            if checkpoints.published(name):  # which stays in the run's config: a folder of the cache says nothing
                self.grows_from = checkpoints.fetch(name, step)
                return
            settings = yaml.safe_load(self._parser("fit").dump(config, skip_link_targets=True))
            train_first(name, root, settings)
        config.model.warm_start = str(trained(root, name))

    def _resume(self, root: Path, config: Any) -> Path:
        """`--ckpt_path last` goes on in the newest run of this name; a file is resumed in a new run."""
        if config.ckpt_path == "last":
            earlier = latest(root, config.name, LAST)
            config.ckpt_path = None if earlier is None else str(earlier / LAST)
            if earlier is not None:
                print(f"Resuming {earlier}", file=sys.stderr)
                return earlier
            print(f"No run to resume under {root / config.name}: starting a new one.", file=sys.stderr)
        elif config.ckpt_path is not None and not Path(config.ckpt_path).is_file():
            raise InputError(
                f"--ckpt_path {config.ckpt_path}: no such file; `last` or a .ckpt file resumes a fit. "
                "A checkpoint is what --model.warm_start begins with."
            )
        return self._new(root, config.name)

    def _new(self, root: Path, name: str) -> Path:
        self.made = new_run(root, name)
        return self.made

    def _trained(self, root: Path, config: Any) -> Path:
        """The weights to evaluate: the newest run's best (default), `last`, a .ckpt file, or a checkpoint.

        That is a folder, or whatever `checkpoints.fetch` takes.
        """
        chosen = config.ckpt_path or "best"
        if chosen == "last":
            run = latest(root, config.name, LAST)
            if run is None:
                raise InputError(f"--ckpt_path last: no run under {root / config.name} has {LAST}.")
            config.ckpt_path = str(run / LAST)
            return run
        if Path(chosen).is_file():
            return self._new(root, config.name)
        config.ckpt_path = None
        self.weights = checkpoints.fetch(trained(root, config.name) if chosen == "best" else chosen, step)
        self.named = str(self.weights) if chosen == "best" else chosen
        own = self.weights.name == CHECKPOINT and self.weights.parent.parent == root / config.name
        return self.weights.parent if own else self._new(root, config.name)


def _classes() -> dict[str, type]:
    """What `class_path` can name in short: the models and the losses."""
    found = {name: getattr(room, name) for room in (models, losses) for name in room.__all__}
    return {name: each for name, each in found.items() if issubclass(each, (models.Model, losses.Loss))}


def _options() -> set[str]:
    return {option for each in _classes().values() for option in inspect.signature(each).parameters}


def run(args: list[str]) -> RecsysCLI:
    """Run one verb with its arguments, as typed."""
    quiet()
    resolved = list(args)
    for i, arg in enumerate(resolved):
        if arg in ("-c", "--config") and i + 1 < len(resolved):
            resolved[i + 1] = find_config(resolved[i + 1])
        elif arg.startswith("--config="):
            resolved[i] = f"--config={find_config(arg.removeprefix('--config='))}"
    torch.set_float32_matmul_precision("high")
    return RecsysCLI(resolved)


def resolved(args: list[str], everything: bool = True) -> dict[str, Any]:
    """The config that `recsys fit` with these arguments would use, as `--print_config` shows it.

    Without `everything`, only what is not as by default; that is read back to the same config.
    """
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        run(["fit", *args, "--print_config" if everything else "--print_config=skip_default"])
    return yaml.safe_load(shown.getvalue())


def quiet() -> None:
    """Leave out what says nothing about the user's own run."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(lambda record: "litlogger" not in record.msg)
    for message in (
        ".*does not have many workers.*",
        ".*LightningCLI's args parameter.*",
        ".*LeafSpec.*",
        "Early stopping conditioned",
    ):
        warnings.filterwarnings("ignore", message=message)
