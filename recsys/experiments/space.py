"""What a sweep tries: for each setting of a config a range or a list of choices, read from YAML and checked at once."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recsys.errors import InputError, did_you_mean

Value = int | float | str | bool | None

OWN = {
    "name": "names a run",
    "runs": "is where the sweep puts its runs",
    "ckpt_path": "is how the sweep resumes",
    "seed_everything": "is chance: its best value would be luck",
    "early_stopping.monitor": "is what trials are judged by",
    "early_stopping.mode": "is how trials are judged",
}
"""Settings that are no matter of choice."""


@dataclass(frozen=True)
class Choices:
    """One of these."""

    values: tuple[Value, ...]

    def __contains__(self, value: object) -> bool:
        return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in self.values)

    def corners(self) -> list[Value]:
        """Values that stand for all when types are checked."""
        return list(self.values)


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both ends included; a whole number if both are."""

    low: float
    high: float
    log: bool = False
    """Drawn so that each factor, not each difference, is as likely."""
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __contains__(self, value: object) -> bool:
        kind = int if self.whole else (int, float)
        if not isinstance(value, kind) or isinstance(value, bool) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / (self.step or 1)
        return self.step is None or math.isclose(steps, round(steps), abs_tol=1e-9)

    def corners(self) -> list[Value]:
        """Both ends."""
        return [self.low, self.high]


Space = Mapping[str, Choices | Range]


def read_space(path: Path, config: Mapping[str, Any]) -> Space:
    """The space in a YAML file; its keys are settings of `config`, a resolved one, as they are flags of `recsys fit`.

    Raises:
        InputError: no such file, a key that the config does not have, or a range or list that makes no sense.
    """
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(found, dict) or not found:
        raise InputError(f"{path}: must be settings with what to try, as in model.learning_rate: {{low: 1e-4, ...}}.")
    known = dict(flat(config))
    for key in found:
        if key in OWN:
            raise InputError(f"{path}: {key} {OWN[key]}; leave it out.")
        if key not in known:
            raise InputError(f"{path}: {key} is no setting of the config.{did_you_mean(str(key), known.keys() - OWN)}")
    return {key: _dimension(value, f"{path}: {key}") for key, value in found.items()}


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of a nested config under its dotted name."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def overridden(config: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Any]:
    """`config` with other values; another `class_path` leaves behind the arguments of the class before."""
    changed = _copy(config)
    ordered = sorted(values, key=lambda key: not key.endswith(".class_path"))
    for key in ordered:
        *parents, last = key.split(".")
        node = changed
        for parent in parents:
            node = node.setdefault(parent, {})
        if last == "class_path" and node.get(last) != values[key]:
            node.pop("init_args", None)
        node[last] = values[key]
    return changed


def corners(space: Space) -> list[dict[str, Value]]:
    """Points between which every choice and both ends of every range occur."""
    ends = {key: dimension.corners() for key, dimension in space.items()}
    return [
        {key: values[min(i, len(values) - 1)] for key, values in ends.items()}
        for i in range(max(len(values) for values in ends.values()))
    ]


def _copy(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in config.items()}


def _dimension(entry: Any, where: str) -> Choices | Range:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: must be {{low: ..., high: ...}} or {{choices: [...]}}, not {entry!r}.")
    fields = {"choices"} if "choices" in entry else {"low", "high", "log", "step"}
    for name in entry:
        if name not in fields:
            raise InputError(f"{where}: {name!r} does not belong there.{did_you_mean(str(name), fields)}")
    return _choices(entry["choices"], where) if "choices" in entry else _range(entry, where)


def _choices(values: Any, where: str) -> Choices:
    if not isinstance(values, list) or not values:
        raise InputError(f"{where}: choices must be a list of at least one value, not {values!r}.")
    for value in values:
        if not isinstance(value, Value):
            raise InputError(f"{where}: a choice is a number, a text, true, false or null, not {value!r}.")
    if len({repr(value) for value in values}) < len(values):
        raise InputError(f"{where}: the choices {values} name one twice.")
    return Choices(tuple(values))


def _range(entry: Mapping[str, Any], where: str) -> Range:
    for name in ("low", "high"):
        if name not in entry:
            raise InputError(f"{where}: has no {name}.")
    for name in ("low", "high", "step"):
        value = entry.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            hint = " (YAML reads 1e-4 as a text; write 1.0e-4)" if isinstance(value, str) else ""
            raise InputError(f"{where}: {name} {value!r} is no number{hint}.")
    if not isinstance(entry.get("log", False), bool):
        raise InputError(f"{where}: log must be true or false, not {entry['log']!r}.")
    found = Range(entry["low"], entry["high"], entry.get("log", False), entry.get("step"))
    if found.low >= found.high:
        raise InputError(f"{where}: low {found.low} must be below high {found.high}.")
    if found.log and found.low <= 0:
        raise InputError(f"{where}: low must be above 0 for log, not {found.low}.")
    if found.log and found.step is not None:
        raise InputError(f"{where}: log and step do not go together; leave one out.")
    if found.step is not None and not 0 < found.step <= found.high - found.low:
        raise InputError(f"{where}: step {found.step} must be above 0 and at most {found.high - found.low}.")
    if found.whole and isinstance(found.step, float):
        raise InputError(f"{where}: step {found.step} must be whole, as low and high are.")
    return found
