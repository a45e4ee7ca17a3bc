"""Settings: runs that differ in nothing but their seed, and what one setting has that another has not."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import PurePath
from statistics import fmean, stdev
from typing import Any

from recsys.experiments.runs import Run
from recsys.metrics import Interval

SEEDS = ("seed_everything", "seed", "data.seed")
ELSEWHERE = (
    *(
        "name",
        "runs",
        "config",
        "ckpt_path",
        "verbose",
        "save_every_n_steps",
        "wandb",
        "project",
        "entity",
        "group",
        "tags",
    ),
    *(
        "data.path",
        "model.k",
        "model.slices",
        "trainer.logger",
        "trainer.default_root_dir",
        "trainer.log_every_n_steps",
    ),
    *("trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.devices", "trainer.accelerator"),
    *("model_checkpoint", "weights_save_path", "_wandb"),
)
"""Where things lie and what is shown: no part of a setting. Data is told apart by its fingerprint."""
SCORES_CALLBACK = "recsys.training.scores.WriteScores"
"""What a sweep gives each of its trials to see how it does: no part of a setting either."""
_ELSEWHERE = re.compile(rf"(?:{'|'.join(map(re.escape, ELSEWHERE))})(?:\.|$)")


def settings(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs of each setting, one for each seed.

    A run that says nothing of its configuration is alone, as is one that has not finished; a seed that was run again
    begins another group.
    """
    found: dict[tuple[str, ...], list[Run]] = {}
    for i, run in enumerate(runs):
        own = {key: value for key, value in configured(run).items() if key not in SEEDS}
        alone = str(i) if not own or run.state != "finished" or run.seed is None else ""
        turn = 0
        key = (run.model, run.fingerprint, json.dumps(own, sort_keys=True, default=str), alone)
        while any(other.seed == run.seed for other in found.get((*key, str(turn)), [])):
            turn += 1
        found.setdefault((*key, str(turn)), []).append(run)
    return list(found.values())


def configured(run: Run) -> dict[str, Any]:
    """What a run was to do, without where its files lie; a trained model that it grew from is called by its name."""
    found = {key: value for key, value in run.config.items() if not _ELSEWHERE.match(key)}
    source = found.get("model.warm_start")
    if isinstance(source, str) and "://" not in source and PurePath(source).match("*/*/checkpoint"):
        found["model.warm_start"] = PurePath(source).parts[-3]
    callbacks = found.get("trainer.callbacks")
    if isinstance(callbacks, list):
        found["trainer.callbacks"] = [each for each in callbacks if SCORES_CALLBACK not in str(each)] or None
    return found


def differing(groups: Sequence[Sequence[Run]]) -> list[dict[str, Any]]:
    """For each setting its values of the keys that are not the same in all; keys are as short as they can be."""
    each = [{key: value for key, value in configured(runs[0]).items() if key not in SEEDS} for runs in groups]
    keys = sorted({key for own in each for key in own})
    missing = object()
    unlike = [key for key in keys if any(own.get(key, missing) != each[0].get(key, missing) for own in each)]
    names = _short(unlike)
    return [{names[key]: own[key] for key in unlike if key in own} for own in each]


def over_seeds(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean of one value a seed with Student's interval; without ends where there are fewer than two seeds."""
    from scipy.special import stdtrit

    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    half = float(stdtrit(len(values) - 1, (1 + level) / 2)) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def welch(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Interval:
    """Difference of the means of two settings' seeds, with the interval of Welch (1947) for unequal variances.

    Without ends where either has fewer than two seeds.
    """
    from scipy.special import stdtrit

    difference = fmean(a) - fmean(b)
    if min(len(a), len(b)) < 2:
        return Interval(difference, math.nan, math.nan)
    parts = [stdev(values) ** 2 / len(values) for values in (a, b)]
    if not sum(parts):
        return Interval(difference, difference, difference)
    freedom = sum(parts) ** 2 / sum(part**2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True))
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(sum(parts))
    return Interval(difference, difference - half, difference + half)


def flags(runs: Sequence[Run]) -> tuple[str, ...]:
    """What to keep in mind about a setting's numbers."""
    found: list[str] = [run.state for run in runs if run.state != "finished"]
    if len({run.seed for run in runs}) < 2:
        found.append("single seed")
    if any(run.warnings for run in runs):
        found.append("damaged log")
    return tuple(dict.fromkeys(found))


def _short(keys: Sequence[str]) -> dict[str, str]:
    """Each key by as many of its last parts as tell it from the others."""
    found = {}
    for key in keys:
        parts = key.split(".")
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[-count:])
            if sum(other == name or other.endswith(f".{name}") for other in keys) == 1:
                break
        found[key] = name
    return found
