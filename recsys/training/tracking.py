"""wandb, online or not: nothing that it lacks, key, network or server, stops a run or keeps it waiting."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import WandbLogger

from recsys.errors import InputError
from recsys.wandb_server import obstacle

TIMEOUTS = {"WANDB_INIT_TIMEOUT": "30", "WANDB_FINISH_TIMEOUT": "60"}
"""Seconds that wandb may take to begin a run and to send what is left at its end, instead of 90 and for ever."""
OWN = ("project", "entity", "group", "tags")
"""Flags that wandb gets as they are."""


def apply_flags(config: Any, folder: Path) -> None:
    """Put `--wandb` and what goes with it into the WandbLogger of a configuration, and its files into `folder`.

    Raises:
        InputError: a flag for wandb, and no WandbLogger.
    """
    entries = config.trainer.logger if isinstance(config.trainer.logger, list) else [config.trainer.logger]
    loggers = [entry for entry in entries if str(getattr(entry, "class_path", "")).endswith("WandbLogger")]
    for entry in entries:
        if hasattr(entry, "init_args") and "save_dir" in entry.init_args:
            entry.init_args.save_dir = str(folder)
    if config.wandb == "disabled":
        config.trainer.logger = [entry for entry in entries if entry not in loggers] or False
        return
    given = {name: config[name] for name in OWN if config[name] is not None}
    if not loggers and (given or config.wandb):
        raise InputError(f"--{'wandb' if config.wandb else next(iter(given))}: trainer.logger is no WandbLogger.")
    for entry in loggers:
        for name, value in given.items():
            entry.init_args[name] = value
        entry.init_args.name = entry.init_args.get("name") or f"{config.name}/{folder.name}"
        if config.wandb:  # which counts for more than the environment
            entry.init_args.offline, entry.init_args["mode"] = config.wandb == "offline", config.wandb
        if not entry.init_args.offline and (config.wandb or os.environ.get("WANDB_MODE", "online") == "online"):
            os.environ.update({name: os.environ.get(name, value) for name, value in TIMEOUTS.items()})
            found = obstacle()
            if found is not None:
                _say(found, folder)
                entry.init_args.offline, entry.init_args["mode"] = True, "offline"


def begin(trainer: pl.Trainer) -> None:
    """Have wandb begin the runs; one that the server refuses goes on offline."""
    loggers = []
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger) and trainer.is_global_zero:
            logger._wandb_init.pop("anonymous", None)  # which wandb warns of, and Lightning always passes
            try:
                _ = logger.experiment
            except Exception as error:  # whatever it is, it is no reason not to train
                _say(f"wandb's server says {' '.join(str(error).split())[:200]}", Path(str(logger.save_dir)))
                again = {"save_dir": logger.save_dir, "dir": None, "offline": True, "mode": "offline"}
                logger = WandbLogger(**{**logger._wandb_init, **again})
        loggers.append(logger)
    trainer.loggers = loggers


@contextmanager
def ended() -> Iterator[None]:
    """End wandb's run with what is done here, failed or not: the next run of this process shall not log into it.

    One that was refused ends without a word: the reason is all that there is to say, and its folder may be gone.
    """
    failed, refused = True, False
    try:
        yield
        failed = False
    except InputError:
        refused = True
        raise
    finally:
        import wandb

        if wandb.run is not None:
            wandb.run._settings.quiet |= refused
            wandb.finish(exit_code=int(failed))


def _say(found: str, folder: Path) -> None:
    print(
        f"{found}: logging offline. `wandb sync {folder}/wandb/offline-run-*` uploads it later.",
        file=sys.stderr,
        flush=True,
    )
