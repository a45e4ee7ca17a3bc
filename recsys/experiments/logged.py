"""What wandb knows of a run, in a file or on a server, as a run of ours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.experiments.runs import Curves, Run, State, flat
from recsys.experiments.wandb_log import number, read_history, read_log

STEP, OWN_STEP = "trainer/global_step", "_step"
"""What Lightning counts, and wandb where Lightning does not."""
INTERVALS, FILES = "intervals", "files"


@dataclass(frozen=True)
class Logged:
    """One wandb run; a fit, each time it was resumed, and its test are one each."""

    name: str
    config: dict[str, Any]
    summary: dict[str, Any]
    state: State
    started: float
    read_rows: Callable[[], Sequence[Mapping[str, Any]]]
    warning: str | None = None

    @property
    def ours(self) -> bool:
        """Whether `recsys` wrote it, which says so by its resolved command line."""
        return isinstance(self.config.get("cli"), dict)

    @property
    def fits(self) -> bool:
        """Whether it trained, as every run of other programs is taken to."""
        return self.config.get("stage", "fit") == "fit"


def read_offline(file: Path) -> Logged:
    """The run of one `.wandb` file."""
    log = read_log(file)
    state: State = "unfinished" if log.exit_code is None else "finished" if log.exit_code == 0 else "failed"
    name = log.name or log.run_id or file.stem
    return Logged(name, log.config, log.summary, state, log.started, lambda: read_history(file), log.damage)


def run_of(folder: Path, parts: Sequence[Logged]) -> Run:
    """The run that the parts are of; what is said later counts."""
    parts = sorted(parts, key=lambda part: part.started)
    said: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for part in parts:
        said |= part.config
        summary |= part.summary
    ours = any(part.ours for part in parts)
    fits = [part for part in parts if part.fits]
    config = next((part.config["cli"] for part in [*fits, *parts] if part.ours), {}) if ours else said
    ends = summary.pop(INTERVALS, {}) if ours else {}
    summary.pop(FILES, None) if ours else None
    return Run(
        folder=folder,
        model=_text(said.get("model")),
        data=_text(said.get("data")) if ours else _text(said.get("data") or said.get("dataset")),
        fingerprint=_text(said.get("data_fingerprint")),
        protocol={},
        metrics=_metrics(summary),
        protocols=said.get("protocols", {}) if ours else {},
        intervals={name: (pair[0], pair[1]) for name, pair in ends.items() if isinstance(pair, list)},
        config=flat(config),
        facts=said.get("facts", {}) if ours else {},
        state=(fits or list(parts))[-1].state,
        name=parts[-1].name,
        read_curves=lambda: _curves(parts),
        warnings=tuple(part.warning for part in parts if part.warning),
    )


def _metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    found = {name: number(value) for name, value in flat(summary).items() if not name.startswith("_") and name != STEP}
    return {name: value for name, value in found.items() if value is not None}


def _curves(parts: Sequence[Logged]) -> Curves:
    points: dict[str, dict[int, float]] = {}
    for part in parts:
        for row in part.read_rows():
            step = number(row.get(STEP, row.get(OWN_STEP)))
            if step is not None:
                for name, value in _metrics(row).items():
                    points.setdefault(name, {})[int(step)] = value
    return {name: sorted(values.items()) for name, values in points.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
