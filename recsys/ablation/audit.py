"""Leaks that lie in the data itself, whoever the model: own clicks, numbers and orders that tell the label."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recsys import atomic
from recsys.metrics import Interval, auc, mean_interval
from recsys.training.protocols import Questions

LEVEL = 0.999
NEAR = 10  # clicks that the last one is compared with
BINS = 50


@dataclass(frozen=True)
class Audit:
    """What the data gives away."""

    own_clicks: int | None
    """Clicks that are logged before the request that they answer; None where requests and clicks share no ids."""
    last_is_target: float
    """Share of the test requests with a history that ask for the very last item of it."""
    earlier_is_target: float
    """The same for each of the nine places before, on average."""
    orders: dict[str, Interval]
    """AUC within the exposed lists, with its 99.9 % interval, by what the items are ordered by; 0.5 is chance."""


def audit(folder: Path, questions: Questions) -> Audit:
    """Look at the files of the data set `folder`, and at the histories of the questions made of it."""
    last, earlier = _repeats(questions)
    return Audit(_own_clicks(folder), last, earlier, _orders(folder))


def _own_clicks(folder: Path) -> int | None:
    files = {suffix: folder / f"{folder.resolve().name}.{suffix}" for suffix in ("inter", "request")}
    if not files["request"].is_file() or "request_id" not in atomic.read_header(files["inter"]):
        return None
    asked = atomic.read(files["request"], ["request_id", "timestamp"]).rename({"timestamp": "began"})
    clicks = atomic.read(files["inter"], ["request_id", "timestamp"]).join(asked, on="request_id")
    return int((clicks["timestamp"].floor() < clicks["began"].floor()).sum())


def _repeats(questions: Questions) -> tuple[float, float]:
    """How often a target is the last item of the own history, and how often each of those before it."""
    rows = questions.requests
    seen, target = questions.seen(rows), questions.dataset.requests.target.take(rows)
    size = len(questions.dataset.items)
    wanted = np.unique(target.group * size + target.values)
    from_end = np.repeat(seen.offsets[1:], seen.lengths) - 1 - np.arange(len(seen.values))
    hit = np.isin(seen.group * size + seen.values, wanted)
    asked = max(1, int((seen.lengths > 0).sum()))
    near = (from_end > 0) & (from_end < NEAR)
    return float(hit[from_end == 0].sum() / asked), float(hit[near].sum() / max(1, near.sum()))


def _orders(folder: Path) -> dict[str, Interval]:
    """How well the order of the file, the items' numbers, and clicks on items of like numbers rank what is exposed."""
    file = folder / f"{folder.resolve().name}.request"
    if not file.is_file():
        return {}
    asked = atomic.read(file, ["user_id", "split", "exposed", "clicked"]).with_row_index("request")
    asked = asked.filter(pl.col("exposed").list.len() > 0)
    clicks = asked.select("request", item="clicked").explode("item").unique().with_columns(clicked=True)
    shown = asked.select("request", "user_id", "split", item="exposed").explode("item")
    shown = shown.join(clicks, on=["request", "item"], how="left", maintain_order="left").fill_null(False)
    if shown.is_empty():
        return {}
    clicked, request = shown["clicked"].to_numpy(), shown["request"].to_numpy()
    user = asked["user_id"].rank("dense").cast(pl.Int64).to_numpy()
    found = {"order of the list": _area(np.arange(len(shown)), request, clicked, user)}
    number = shown["item"].cast(pl.Int64, strict=False)
    if not number.null_count():
        found["number of the item"] = _area(number.to_numpy(), request, clicked, user)
        later = (shown["split"] != "train").to_numpy()
        score = _neighbours(number.to_numpy(), clicked, ~later)
        users = user[np.isin(asked["request"].to_numpy(), request[later])]
        found["clicks on like numbers"] = _area(score[later], request[later], clicked[later], users)
    return found


def _neighbours(number: np.ndarray, clicked: np.ndarray, known: np.ndarray) -> np.ndarray:
    """For each exposure, how often items of like number, the item itself left out, were clicked where it is `known`."""
    distinct, item = np.unique(number, return_inverse=True)
    block = item * BINS // len(distinct)
    counts = []
    for weight in (clicked & known, known):
        of_block = np.bincount(block, weights=weight, minlength=BINS)
        of_item = np.bincount(item, weights=weight, minlength=len(distinct))
        counts.append(of_block[block] - of_item[item])
    return counts[0] / np.maximum(counts[1], 1)


def _area(score: np.ndarray, request: np.ndarray, clicked: np.ndarray, user: np.ndarray) -> Interval:
    _, first = np.unique(request, return_index=True)
    values = auc(score.astype(np.float64), np.append(first, len(request)), clicked)
    return mean_interval(values, user, level=LEVEL)
