"""Frames of users in, frames of recommendations out: Polars inside, pandas for whoever brings it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from recsys.errors import InputError, did_you_mean
from recsys.recommender.questions import Unknown, questions

if TYPE_CHECKING:
    from recsys.recommender.recommender import Recommender

COLUMNS = ("user_id", "history", "queries", "timestamps", "now")


@dataclass(frozen=True)
class Asked:
    """The columns of some users, as lists."""

    user: pl.Series
    """`user_id`, or `row` where users have no ids."""
    histories: list[Any]
    queries: list[Any] | None
    timestamps: list[Any] | None
    now: list[Any] | None
    integers: bool
    """Whether items are integers, so that they come back as such."""
    named: Callable[[int], str]
    """How a sentence about user i begins."""


def polars_of(frame: Any) -> tuple[pl.DataFrame, Callable[[pl.DataFrame], Any]]:
    """The frame as Polars, and the way back to its own kind; pandas is not imported here, it has been already."""
    if isinstance(frame, pl.DataFrame):
        return frame, lambda answer: answer
    if isinstance(frame, pl.LazyFrame):
        return frame.collect(), lambda answer: answer.lazy()
    if type(frame).__module__.partition(".")[0] == "pandas" and type(frame).__name__ == "DataFrame":
        return pl.from_pandas(frame), lambda answer: answer.to_pandas()
    raise InputError(f"recommend_frame takes a Polars or pandas DataFrame, not {type(frame).__name__}.")


def asked_of(frame: pl.DataFrame, named: Callable[[int], str] = lambda i: f"row {i}: ", first: int = 0) -> Asked:
    """What a frame asks: users with their lists, or a log of clicks; `first` is the number of its first row.

    Raises:
        InputError: a column is missing or of another type, a history holds a missing value.
    """
    if "history" not in frame.columns and {"user_id", "item_id"} <= set(frame.columns):
        frame, named = _grouped(frame), lambda i: f"user {frame['user_id'][i]}: "
    if "history" not in frame.columns:
        raise InputError(
            f"no column 'history', a list of item ids for each user.{did_you_mean('history', frame.columns)}"
        )
    schema = frame.schema
    inner = {name: getattr(schema.get(name), "inner", None) for name in COLUMNS}
    for name, fits, wanted in (
        ("history", _is_id, "a list of strings or integers"),
        ("queries", lambda dtype: dtype in (pl.String, pl.Null), "a list of strings"),
        ("timestamps", lambda dtype: dtype.is_numeric() or dtype == pl.Null, "a list of numbers of seconds"),
    ):
        if name in schema and schema[name] != pl.Null and (inner[name] is None or not fits(inner[name])):
            raise InputError(f"column {name!r} is {schema[name]}; it should be {wanted}.")
    if "now" in schema and not (schema["now"].is_numeric() or schema["now"] == pl.Null):
        raise InputError(f"column 'now' is {schema['now']}; it should be a number of seconds.")
    gaps = frame["history"].cast(pl.List(inner["history"] or pl.Null)).list.eval(pl.element().is_null()).list.any()
    if gaps.any():
        raise InputError(f"{named(gaps.arg_true()[0])}a missing value in history.")
    lists = {name: frame[name].to_list() if name in schema else None for name in COLUMNS[1:]}
    rows = pl.Series("row", np.arange(first, first + len(frame)))
    return Asked(
        user=frame["user_id"] if "user_id" in schema else rows,
        histories=[history or [] for history in lists["history"] or []],
        queries=lists["queries"],
        timestamps=lists["timestamps"],
        now=lists["now"],
        integers=inner["history"] is not None and inner["history"].is_integer(),
        named=named,
    )


def _is_id(dtype: Any) -> bool:
    return bool(dtype.is_integer() or dtype in (pl.String, pl.Null, pl.Categorical, pl.Enum))


def _grouped(log: pl.DataFrame) -> pl.DataFrame:
    """One row per user of a log of clicks, as users first appear; clicks by time, of equal times as they come."""
    clicks = pl.col("item_id")
    if "timestamp" not in log.columns:
        return log.group_by("user_id", maintain_order=True).agg(history=clicks)
    if log.schema["timestamp"].is_temporal():
        log = log.with_columns(pl.col("timestamp").dt.epoch("s"))
    time = pl.col("timestamp")
    history, timestamps = (column.sort_by(time, maintain_order=True) for column in (clicks, time))
    return log.group_by("user_id", maintain_order=True).agg(history=history, timestamps=timestamps)


def answered(
    model: "Recommender",
    asked: Asked,
    k: int,
    exclude_seen: bool,
    unknown: Unknown,
    candidates: Sequence[str | int] | None,
) -> pl.DataFrame:
    """One row for each user and recommended item, best first."""
    allowed, _ = model.candidates(candidates, unknown)
    encoded = questions(
        model.numbers, asked.histories, asked.queries, asked.timestamps, asked.now, unknown, asked.named
    )
    ranked = model.rank(encoded, k, allowed, exclude_seen)
    user, place = np.nonzero(ranked.ids)
    missing = np.array([len(each) for each in encoded.unknown], np.int64)
    return pl.DataFrame(
        {
            asked.user.name: asked.user.gather(user),
            "rank": place + 1,
            "item_id": model.item_ids(asked.integers).gather(ranked.ids[user, place] - 1),
            "score": ranked.scores[user, place],
            "reason": pl.Series(["popularity", "model"]).gather(ranked.by_model[user].astype(np.int64)),
            "unknown": missing[user],
        }
    )
