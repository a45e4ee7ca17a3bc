"""A sweep: Optuna proposes values for the settings of a config, `recsys fit` tries them, validation decides.

What Optuna knows lies in SQLite beside the runs: a killed sweep goes on with the trials that it was at. Only the
process that calls `sweep` opens it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from recsys.errors import InputError
from recsys.experiments.complaint import complaint
from recsys.experiments.settings import SCORES_CALLBACK
from recsys.experiments.space import Choices, Range, Space, Value, flat, overridden
from recsys.experiments.trials import CONFIG, LOG, SCORES, Trial, held
from recsys.files import atomic_file

if TYPE_CHECKING:
    import optuna

STUDY, REQUEST, BEST = "optuna.db", "sweep.yaml", "best.yaml"
STARTUP = 5
"""Trials that run to their end before any is pruned."""
PATIENCE = 3
"""Validations of a trial before it may be pruned."""
PAUSE = 0.1
"""Seconds between looks at the trials that run."""


@dataclass(frozen=True)
class Sweep:
    """What is searched, and how."""

    folder: Path
    """Runs go to folder/trial-0000/TIME."""
    config: Mapping[str, Any]
    """Config of `recsys fit`, without what is as by default."""
    resolved: Mapping[str, Any]
    """The same with everything."""
    space: Space
    trials: int
    seed: int = 0
    prune: bool = False
    """End trials whose best validation so far is below the median of the others at that epoch."""
    program: Sequence[str] = ("recsys", "fit")

    @property
    def monitor(self) -> str:
        """The metric, on validation."""
        return self.resolved["early_stopping"]["monitor"]

    @property
    def maximize(self) -> bool:
        """Whether more of it is better."""
        return self.resolved["early_stopping"]["mode"] == "max"


@dataclass(frozen=True)
class Outcome:
    """One trial as it ended."""

    number: int
    state: str
    """complete, pruned or failed."""
    value: float | None
    seconds: float
    params: dict[str, Value]


def sweep(asked: Sweep, slots: Sequence[Mapping[str, str]], progress: Callable[[str], None]) -> list[Outcome]:
    """Run what is left of the trials, one in each slot at a time, and return all of them, the best first.

    `best.yaml` holds the config of the best trial so far, complete, for `recsys fit --config`.

    Raises:
        InputError: Optuna is missing, the folder holds another sweep, another process works there, or nothing succeeds.
    """
    if not asked.monitor.startswith("val/"):
        raise InputError(
            f"early_stopping.monitor {asked.monitor}: a sweep selects on validation, by val/ndcg@10 or so."
        )
    optuna = _optuna()
    with held(asked.folder):
        _keep(asked)
        study = optuna.create_study(
            storage=f"sqlite:///{(asked.folder / STUDY).absolute()}",
            study_name="sweep",
            direction="maximize" if asked.maximize else "minimize",
            pruner=optuna.pruners.MedianPruner(STARTUP, PATIENCE, n_min_trials=STARTUP),
            load_if_exists=True,
        )
        if not study.trials:
            start = {key: value for key, value in flat(asked.resolved) if key in asked.space}
            study.enqueue_trial({key: value for key, value in start.items() if value in asked.space[key]})
        _Loop(asked, study, progress).run(slots)
        return outcomes(study)


def outcomes(study: "optuna.Study") -> list[Outcome]:
    """Every ended trial, the best first, those without a value last."""
    found = [
        Outcome(
            trial.number,
            {"fail": "failed"}.get(name := trial.state.name.lower(), name),
            trial.value if name == "complete" else None,
            trial.duration.total_seconds() if trial.duration else 0.0,
            dict(trial.params),
        )
        for trial in study.trials
        if trial.state.is_finished()
    ]
    sign = -1 if study.direction.name == "MAXIMIZE" else 1
    return sorted(found, key=lambda each: (each.value is None, sign * (each.value or 0), each.number))


class _Loop:
    def __init__(self, asked: Sweep, study: "optuna.Study", progress: Callable[[str], None]) -> None:
        self.asked, self.study, self.progress = asked, study, progress
        self.distributions = {key: _distribution(dimension) for key, dimension in asked.space.items()}

    def run(self, slots: Sequence[Mapping[str, str]]) -> None:
        """Until all trials have ended."""
        left = [trial.number for trial in self.study.trials if trial.state.name == "RUNNING"]
        if left:
            self.progress(f"going on with trial{'s' * (len(left) > 1)} {', '.join(map(str, left))}")
        running: dict[int, tuple[int, Trial]] = {}
        try:
            while True:
                for slot in sorted(set(range(len(slots))) - running.keys()):
                    number = left.pop(0) if left else self._ask()
                    if number is not None:
                        running[slot] = number, self._begin(number, slots[slot])
                if not running:
                    return
                for slot, (number, trial) in list(running.items()):
                    if self._ended(number, trial):
                        del running[slot]
                time.sleep(PAUSE)
        finally:
            for _, trial in running.values():  # all at once, as each may take its time
                trial.stop()
            for _, trial in running.values():
                trial.end()

    def _ask(self) -> int | None:
        """The next trial. What it draws depends on its number and on what has ended, not on where a sweep was cut."""
        import optuna

        while (number := sum(trial.state.name != "WAITING" for trial in self.study.trials)) < self.asked.trials:
            self.study.sampler = optuna.samplers.TPESampler(seed=self.asked.seed * 1_000_003 + number)
            params = self.study.ask(self.distributions).params
            same = [each for each in outcomes(self.study) if each.value is not None and each.params == params]
            if not same:
                return number
            self.study.tell(number, same[0].value)
            self.progress(f"trial {number} of {self.asked.trials}: the same as trial {same[0].number}")
        return None

    def _begin(self, number: int, slot: Mapping[str, str]) -> Trial:
        folder = self.asked.folder.absolute() / f"trial-{number:04}"
        params = self.study.trials[number].params
        with atomic_file(folder / CONFIG) as file:
            file.write_text(_yaml(overridden(self.asked.config, params)), encoding="utf-8")
        where = ["--runs", str(folder.parent), "--name", folder.name, "--ckpt_path", "last"]
        told = [f"--trainer.callbacks+={SCORES_CALLBACK}", "--trainer.callbacks.path", str(folder / SCORES)]
        told += ["--trainer.callbacks.monitor", self.asked.monitor, "--trainer.enable_progress_bar", "false"]
        environment = {"WANDB_RUN_GROUP": self.asked.folder.absolute().name, **slot}
        self.progress(f"trial {number} of {self.asked.trials}: {described(params)}")
        return Trial(
            folder,
            [*self.asked.program, "--config", str(folder / CONFIG), *where, *told],
            environment,
            self.asked.monitor,
        )

    def _ended(self, number: int, trial: Trial) -> bool:
        """Pass on what the trial has come to; a first one that fails ends the sweep, as the others would fail alike."""
        over = trial.poll()
        if self._prunable(number, trial) and not over:
            trial.end()
            self._tell(number, trial, None, "PRUNED")
            return True
        if not over:
            return False
        value, log = trial.value(), trial.folder / LOG
        if value is None and trial.code == 0:
            raise InputError(f"{log}: the fit has ended without {self.asked.monitor}.")
        if value is None and number == 0 and not any(each.value is not None for each in outcomes(self.study)):
            raise InputError(f"{log}: the fit failed ({complaint(trial.code, log)}).")
        self._tell(number, trial, value, "FAIL" if value is None else "COMPLETE")
        return True

    def _prunable(self, number: int, trial: Trial) -> bool:
        import optuna

        new = trial.scores()
        if not new:
            return False
        known = self.study.trials[number]
        told = optuna.trial.Trial(self.study, known._trial_id)
        for epoch, score in new:
            if epoch not in known.intermediate_values:  # as those are that a killed sweep had passed on
                told.report(score, epoch)
        return self.asked.prune and told.should_prune()

    def _tell(self, number: int, trial: Trial, value: float | None, state: str) -> None:
        self.study.tell(number, value, _state(state))
        best = outcomes(self.study)[0]
        if best.number == number and value is not None:
            self._keep_best(best)
        said = f"{self.asked.monitor} {value:.4f}" if value is not None else state.lower()
        if state == "FAIL":
            said = f"failed ({complaint(trial.code, trial.folder / LOG)})"
        record = "" if best.value is None else f"; best {best.value:.4f}, trial {best.number}"
        self.progress(f"trial {number} of {self.asked.trials}: {said}{record}")

    def _keep_best(self, best: Outcome) -> None:
        about = f"# Trial {best.number} of a sweep, the best so far: {self.asked.monitor} {best.value} on validation.\n"
        config = {**overridden(self.asked.config, best.params), "name": f"{self.asked.resolved['name']}-best"}
        with atomic_file(self.asked.folder / BEST) as file:
            file.write_text(about + _yaml(config), encoding="utf-8")


def described(params: Mapping[str, Value]) -> str:
    """Values with the last parts of their names."""
    return ", ".join(
        f"{key.rpartition('.')[2]} {value:.4g}" if isinstance(value, float) else f"{key.rpartition('.')[2]} {value}"
        for key, value in params.items()
    )


def _keep(asked: Sweep) -> None:
    """Write down what is searched; a folder where something else was is left alone."""
    space = {
        key: {"choices": list(each.values)} if isinstance(each, Choices) else asdict(each)
        for key, each in asked.space.items()
    }
    wanted = {"config": asked.resolved, "space": space, "seed": asked.seed, "prune": asked.prune}
    path = asked.folder / REQUEST
    if path.is_file():
        earlier = yaml.safe_load(path.read_text("utf-8"))
        before, now = dict(flat(earlier)), dict(flat(yaml.safe_load(_yaml(wanted))))
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key):
                raise InputError(
                    f"{asked.folder}: holds a sweep with another {key} ({before.get(key)}, not {now.get(key)}); name "
                    "another --output to begin anew."
                )
    elif (asked.folder / STUDY).exists():
        raise InputError(f"{asked.folder}: holds a study without {REQUEST}; name another --output.")
    else:
        with atomic_file(path) as file:
            file.write_text(_yaml(wanted), encoding="utf-8")


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise InputError("recsys sweep needs Optuna: pip install 'recsys-zoo[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _distribution(dimension: Choices | Range) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.values)
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), dimension.log, int(dimension.step or 1))
    return FloatDistribution(float(dimension.low), float(dimension.high), dimension.log, dimension.step)


def _state(name: str) -> "optuna.trial.TrialState":
    from optuna.trial import TrialState

    return TrialState[name]
