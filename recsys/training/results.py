"""From one row per request to what a test says: means with intervals, by protocol, by slice, beside the baselines."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from rich.table import Table

from recsys.metrics import METRICS, Average, Interval, mean_intervals
from recsys.training.protocols import PREFIX, Name

# Which columns of which protocols stand side by side: heading, ranker, protocol.
TABLES: tuple[tuple[str, tuple[tuple[str, str, Name], ...]], ...] = (
    (
        "full ranking",
        (
            ("all clicked", "", "full"),
            ("known clicked", "", "in_vocabulary"),
            ("ceiling", "ceiling/", "full"),
            ("popular", "popular/", "full"),
            ("recent", "recent/", "full"),
            ("random", "random/", "full"),
        ),
    ),
    (
        "re-ranking of the exposed items",
        (
            ("all requests", "", "exposed"),
            ("first 1,000", "", "exposed_first_1000"),
            ("position", "position/", "exposed"),
            ("popular", "popular/", "exposed"),
            ("recent", "recent/", "exposed"),
            ("random", "random/", "exposed"),
        ),
    ),
    (
        "re-ranking of the given candidates",
        (
            ("model", "", "given"),
            ("popular", "popular/", "given"),
            ("recent", "recent/", "given"),
            ("random", "random/", "given"),
        ),
    ),
)

# What lists are beyond accurate: as a whole, and each.
BEYOND = (
    *("coverage", "gini", "entropy", "personalisation"),
    *("popularity", "tail", "novelty", "distance", "miscalibration"),
)


def measured(frame: pl.DataFrame, average: Average) -> dict[str, Interval]:
    """The mean of every metric of `frame` with its 95 % interval; without those that no request has a value of."""
    names = [name for name in frame.columns if "@" in name]
    users = frame["user_id"].rank("dense").cast(pl.Int64).to_numpy()
    found = mean_intervals({name: frame[name].to_numpy() for name in names}, users, average=average)
    return {name: interval for name, interval in found.items() if not np.isnan(interval.mean)}


def sliced(frame: pl.DataFrame, inside: Mapping[str, pl.Series], average: Average) -> dict[str, Any]:
    """For each slice its numbers of requests and users, and the model's and the popular items' means and intervals."""
    shown = [name for name in frame.columns if "@" not in name or name.startswith("popular/") or _is_model(name)]
    found = {}
    for name, rows in inside.items():
        part = frame.select(shown).filter(rows)
        numbers = {"requests": part.height, "users": part["user_id"].n_unique()}
        found[name] = numbers | written(measured(part, average))
    return found


def written(intervals: Mapping[str, Interval]) -> dict[str, dict[str, Any]]:
    """As test.json has it: `metrics` by name, and `intervals`, null where one user cannot tell."""
    ends = {name: [None if np.isnan(end) else end for end in found[1:]] for name, found in intervals.items()}
    return {
        "metrics": {f"test/{name}": intervals[name].mean for name in sorted(intervals)},
        "intervals": {f"test/{name}": ends[name] for name in sorted(intervals)},
    }


def scoreboards(result: dict[str, Any], cutoffs: tuple[int, ...]) -> list[Table]:
    """The metrics of each family of protocols, the model's beside those of the baselines, then the slices."""
    about = f"{result['model']} on {result['data']}, test split"
    tables = [_scoreboard(result, f"{about}, {title}", columns, cutoffs) for title, columns in TABLES]
    shown = 10 if 10 in cutoffs else max(cutoffs)
    tables.append(_beyond(result, f"{about}, beyond accuracy", shown))
    if result["slices"]:
        tables.append(_slices(result, about, shown))
    return [table for table in tables if table.row_count]


def _scoreboard(
    result: dict[str, Any], title: str, columns: tuple[tuple[str, str, Name], ...], cutoffs: tuple[int, ...]
) -> Table:
    first = columns[0]
    shown = [
        each for each in columns if f"test/{each[1]}{PREFIX[each[2]]}{METRICS[0]}@{cutoffs[0]}" in result["metrics"]
    ]
    table = Table("metric", *(heading for heading, _, _ in shown), title=title)
    if first not in shown:
        return table
    for metric in METRICS:
        for k in cutoffs:
            names = [f"test/{ranker}{PREFIX[protocol]}{metric}@{k}" for _, ranker, protocol in shown]
            cells = [_cell(result, name, interval=i == 0) for i, name in enumerate(names)]
            table.add_row(f"{metric}@{k}", *cells, end_section=k == cutoffs[-1])
    return table


def _beyond(result: dict[str, Any], title: str, k: int) -> Table:
    columns = [each[1:] for each in TABLES[0][1] if each[2] == "full"]
    found = result["catalogue"] | result["metrics"]
    shown = [ranker for ranker, _ in columns if f"test/{ranker}{BEYOND[0]}@{k}" in found]
    table = Table("metric", *(ranker.removesuffix("/") or "model" for ranker in shown), title=title)
    for metric in BEYOND:
        names = [f"test/{ranker}{metric}@{k}" for ranker in shown]
        if any(name in found for name in names):
            table.add_row(f"{metric}@{k}", *(f"{found[name]:.4f}" if name in found else "–" for name in names))
    return table


def _slices(result: dict[str, Any], about: str, k: int) -> Table:
    protocols = (PREFIX["full"], PREFIX["exposed"])
    names = [f"test/{ranker}{prefix}ndcg@{k}" for prefix in protocols for ranker in ("", "popular/")]
    shown = [name for name in names if name in result["metrics"]]
    headings = ["popular" if "popular/" in name else name.removeprefix("test/") for name in shown]
    table = Table("slice", "requests", "users", *headings, title=f"{about}, by slice")
    whole = {"requests": result["requests"], "users": result["users"]} | result
    for label, part in {"all": whole, **result["slices"]}.items():
        cells = [_cell(part, name, interval="popular/" not in name) for name in shown]
        table.add_row(label, f"{part['requests']:,}", f"{part['users']:,}", *cells, end_section=label == "all")
    return table


def _cell(part: dict[str, Any], name: str, interval: bool) -> str:
    if name not in part["metrics"]:
        return "–"
    ends = part["intervals"][name]
    shown = f" [{ends[0]:.4f}, {ends[1]:.4f}]" if interval and None not in ends else ""
    return f"{part['metrics'][name]:.4f}{shown}"


def _is_model(name: str) -> bool:
    return name.rpartition("/")[0] in {prefix.removesuffix("/") for prefix in PREFIX.values()}
