"""wandb, online or not: nothing that it lacks, key, network or server, stops a run or keeps it waiting."""

import netrc
import os
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import lightning.pytorch as pl
from lightning.pytorch.loggers import WandbLogger

from recsys.errors import InputError

PATIENCE = 10.0
"""Seconds in which a server must have answered anything at all."""
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
        if config.wandb:
            entry.init_args.offline = config.wandb == "offline"
            os.environ["WANDB_MODE"] = config.wandb
        if not entry.init_args.offline and os.environ.get("WANDB_MODE", "online") == "online":
            os.environ.update({name: os.environ.get(name, value) for name, value in TIMEOUTS.items()})
            found = obstacle()
            if found is not None:
                _say(found, folder)
                entry.init_args.offline = True


def begin(trainer: pl.Trainer) -> None:
    """Have wandb begin the runs; one that the server refuses goes on offline."""
    loggers = []
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger) and trainer.is_global_zero:
            try:
                _ = logger.experiment
            except Exception as error:  # whatever it is, it is no reason not to train
                _say(f"wandb cannot log online: {' '.join(str(error).split())}", Path(str(logger.save_dir)))
                logger = WandbLogger(
                    **{**logger._wandb_init, "save_dir": logger.save_dir, "dir": None, "offline": True}
                )
        loggers.append(logger)
    trainer.loggers = loggers


def obstacle() -> str | None:
    """Why nothing can be logged online, if it is so: found out within `PATIENCE`, and without asking anyone."""
    import wandb

    settings = wandb.setup().settings
    if not (settings.api_key or os.environ.get("WANDB_API_KEY") or _in_netrc(settings.base_url)):
        return "wandb has no API key (`wandb login`, or WANDB_API_KEY)"
    found = [f"{settings.base_url} does not answer"]
    asking = threading.Thread(target=_ask, args=(settings.base_url, found), daemon=True)  # names are looked up untimed
    asking.start()
    asking.join(PATIENCE)
    return found[0] if found else None


def _ask(url: str, found: list[str]) -> None:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE):
            pass
    except urllib.error.HTTPError:  # it answers, and wandb will know what to ask
        pass
    except (OSError, ValueError) as error:
        found[0] = f"{url} does not answer ({getattr(error, 'reason', None) or error})"
        return
    found.clear()


def _in_netrc(url: str) -> bool:
    file = os.environ.get("NETRC")
    try:
        return netrc.netrc(file).authenticators(urlsplit(url).hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _say(found: str, folder: Path) -> None:
    print(
        f"{found}: logging offline. `wandb sync {folder}/wandb/offline-run-*` uploads it later.",
        file=sys.stderr,
        flush=True,
    )
