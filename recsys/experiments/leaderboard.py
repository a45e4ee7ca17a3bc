"""The leaderboard: what each config reaches on each data set, at what cost, and whether a row comes out again."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from recsys.errors import InputError, did_you_mean
from recsys.files import atomic_file
from recsys.metrics import Interval

METRICS = ("ndcg@10", "recall@10", "mrr@10", "exposed/ndcg@10", "popular/ndcg@10")
DIGITS = 6
"""Decimals of a metric that are kept, and come out again on the same machine."""


@dataclass(frozen=True)
class Plan:
    """What is to be measured: commands as anyone would type them, joined by &&, in a folder that holds `data`."""

    row: str
    """Config and seed, as in sasrec_ml-100k/0."""
    config: str
    data: str
    seed: int
    prepare: str
    """Makes the data."""
    command: str
    """Fits, then one test."""


@dataclass(frozen=True)
class Row(Plan):
    """What came out."""

    model: str
    metrics: dict[str, Interval]
    """On the test split, with 95 % intervals over users; without those that this data has no value of."""
    protocol: str
    fingerprint: str
    """Of the data."""
    cpu_s: float
    """CPU seconds of the fits, all threads and processes together."""
    wall_s: float
    """Seconds of the fits by the clock, in which others may have used the machine too."""
    peak_memory_gb: float
    parameters: int
    device: str
    machine: str
    versions: str


@dataclass(frozen=True)
class Verdict:
    """Whether a row came out again, and what that is said of."""

    agrees: bool
    reasons: list[str]


def read_leaderboard(path: Path) -> list[Row]:
    """The rows of a leaderboard, in its order.

    Raises:
        InputError: no such file, or a line of it is damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such leaderboard.")
    with path.open(encoding="utf-8", newline="") as file:
        return [_parsed(cells, f"{path}, line {line}") for line, cells in enumerate(csv.DictReader(file), 2)]


def write_leaderboard(path: Path, rows: Sequence[Row]) -> None:
    """One line a row, with a column for each fact and three for each metric."""
    shown = [field.name for field in fields(Row)]
    at = shown.index("metrics")
    columns = [*shown[:at], *(end for name in METRICS for end in _columns(name)), *shown[at + 1 :]]
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            cells: dict[str, Any] = {key: value for key, value in asdict(row).items() if key != "metrics"}
            for name, interval in row.metrics.items():
                cells |= {column: f"{end:.{DIGITS}f}" for column, end in zip(_columns(name), interval, strict=True)}
            writer.writerow(cells)


def rows_named(rows: Sequence[Row], name: str) -> list[Row]:
    """The row of that name, as sasrec_ml-100k/0, or those of every seed, as sasrec_ml-100k.

    Raises:
        InputError: there is none.
    """
    found = [row for row in rows if name in (row.row, row.row.rpartition("/")[0])]
    if not found:
        raise InputError(f"{name}: no row of the leaderboard.{did_you_mean(name, {row.row for row in rows})}")
    return found


def judge(row: Row, again: Row) -> Verdict:
    """Whether `again` agrees with `row`.

    The same versions on the same machine give the same digits. Elsewhere sums are rounded otherwise, of which training
    makes much: there each metric has to lie in the interval that the row has for it.
    """
    same = (row.machine, row.device, row.versions) == (again.machine, again.device, again.versions)
    where = "on the same machine with the same versions"
    reasons = []
    if row.fingerprint != again.fingerprint:
        reasons.append(f"other data: fingerprint {again.fingerprint[:12]}, not {row.fingerprint[:12]}")
    if row.protocol != again.protocol:
        reasons.append(f"another protocol: {again.protocol!r}, not {row.protocol!r}")
    for name, (mean, low, high) in row.metrics.items():
        found = again.metrics[name].mean if name in again.metrics else None
        if found is None:
            reasons.append(f"{name}: was not measured again")
        elif same and found != mean:
            reasons.append(f"{name}: {found:.{DIGITS}f}, not {mean:.{DIGITS}f}, {where}")
        elif not same and not low <= found <= high:
            reasons.append(f"{name}: {found:.{DIGITS}f} is outside of [{low:.{DIGITS}f}, {high:.{DIGITS}f}]")
    if reasons:
        return Verdict(False, reasons)
    if same:
        return Verdict(True, [f"to the digit ({DIGITS} decimals), {where}"])
    return Verdict(True, ["within the intervals, on another machine or with other versions"])


def _columns(metric: str) -> tuple[str, str, str]:
    return metric, f"{metric} low", f"{metric} high"


def _parsed(cells: Mapping[str, str], where: str) -> Row:
    missing = [field.name for field in fields(Row) if field.name != "metrics" and not cells.get(field.name)]
    if missing:
        raise InputError(f"{where}: has no {missing[0]}.")
    found: dict[str, Any] = {}
    for field in fields(Row):
        if field.name == "metrics":
            measured = [name for name in METRICS if cells.get(name)]
            ends = {name: [_number(cells, column, where) for column in _columns(name)] for name in measured}
            found["metrics"] = {name: Interval(*values) for name, values in ends.items()}
        elif field.type in (int, float):
            found[field.name] = field.type(_number(cells, field.name, where))
        else:
            found[field.name] = cells[field.name]
    return Row(**found)


def _number(cells: Mapping[str, str], column: str, where: str) -> float:
    try:
        return float(cells[column])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: {column} {cells.get(column)!r} is no number.") from error
