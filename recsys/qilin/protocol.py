"""Which request is for training, validation and test, and which clicks and searches may be known when."""

from dataclasses import dataclass

import polars as pl

from recsys.errors import InputError
from recsys.qilin.options import Split

SPLITS = ("train", "valid", "test")
SEARCH_TEST_START = 79_200  # 22:00, where the release cuts searches; DQA comes uncut


@dataclass(frozen=True)
class Cuts:
    """The times, in seconds since the origin, at which the validation and the test begin.

    By the official split, in which a request's file tells what is test, `test` cuts DQA, which comes uncut.
    """

    valid: int
    test: int


def cuts(starts: pl.DataFrame, split: Split, valid_fraction: float, test_fraction: float) -> Cuts:
    """The cuts, from the numbers `n` of recommendation requests by `config` and `timestamp`.

    Raises:
        InputError: no training request.
    """
    if split == "temporal":
        test = _latest(starts, test_fraction)
        return Cuts(_latest(starts.filter(pl.col("timestamp") < test), valid_fraction), test)
    return Cuts(_latest(starts.filter(config="recommendation_train"), valid_fraction), SEARCH_TEST_START)


def _latest(starts: pl.DataFrame, fraction: float) -> int:
    """The time from which the latest `fraction` of requests begins; those of the same second are on one side."""
    if starts.is_empty():
        raise InputError("No recommendation request within the day is left to train on.")
    ordered = starts.group_by("timestamp").agg(pl.col("n").sum()).sort("timestamp", descending=True)
    wanted = max(1, round(int(starts["n"].sum()) * fraction))
    return int(ordered.filter(pl.col("n").cum_sum() >= wanted)["timestamp"][0])


def assign(requests: pl.DataFrame, split: Split, at: Cuts) -> pl.DataFrame:
    """Requests with their `split`, and whether each is a `target` rather than known only as history.

    A click belongs to the split of its request, a search to that of its time: it may be known in that split and later
    ones. Searches, their clicks and questions are never targets.

    Args:
        requests: of any number of users, but of each user all: index, config, source, user_idx, timestamp.
        split: the rule.
        at: the cuts.
    """
    recommended = pl.col("source") == "rec"
    if split == "leave_one_out":
        return requests.with_columns(target=recommended).pipe(_leave_one_out)
    if split == "temporal":
        return requests.with_columns(split=_by_time(at.valid, at.test), target=recommended)
    in_test = pl.col("config").is_in(["recommendation_test", "search_test"])
    late = (pl.col("config") == "dqa") & (pl.col("timestamp") >= at.test)
    official = pl.when(in_test | late).then(pl.lit("test")).otherwise(_by_time(at.valid, None))
    requests = requests.with_columns(split=official, target=recommended)
    if split == "official":
        return requests
    first = pl.col("timestamp").filter(recommended & (pl.col("split") == "test")).min().over("user_idx")
    overtaken = (recommended & (pl.col("split") != "test") & (pl.col("timestamp") >= first)).fill_null(False)
    return requests.with_columns(
        split=pl.when(overtaken).then(pl.lit("test")).otherwise("split"), target=pl.col("target") & ~overtaken
    )


def require_all(counts: dict[str, int]) -> None:
    """Refuse recommendation requests that leave a split empty.

    Raises:
        InputError: naming the first empty split.
    """
    counts = {name: counts.get(name, 0) for name in SPLITS}
    for name, count in counts.items():
        if not count:
            raise InputError(f"The {name} split holds no recommendation request within the day; counts: {counts}.")


def _by_time(valid: int | pl.Expr, test: int | pl.Expr | None) -> pl.Expr:
    early = pl.when(pl.col("timestamp") >= valid).then(pl.lit("valid")).otherwise(pl.lit("train"))
    return early if test is None else pl.when(pl.col("timestamp") >= test).then(pl.lit("test")).otherwise(early)


def _leave_one_out(requests: pl.DataFrame) -> pl.DataFrame:
    """Of two requests one is train and one is test; of one it is train: who is tested has been seen in training."""
    ordered = requests.filter("target").sort("user_idx", "timestamp", "index")
    back, count = pl.int_range(pl.len()).reverse().over("user_idx"), pl.len().over("user_idx")
    held = (
        pl.when((back == 0) & (count >= 2))
        .then(pl.lit("test"))
        .when((back == 1) & (count >= 3))
        .then(pl.lit("valid"))
        .otherwise(pl.lit("train"))
    )
    placed = ordered.select("request", "user_idx", "timestamp", held=held)
    bounds = placed.group_by("user_idx").agg(
        valid=pl.col("timestamp").filter(pl.col("held") != "train").min(),
        test=pl.col("timestamp").filter(pl.col("held") == "test").min(),
    )
    known = requests.join(bounds, on="user_idx", how="left", maintain_order="left")
    known = known.join(placed.select("request", "held"), on="request", how="left", maintain_order="left")
    by_time = _by_time(pl.col("valid"), pl.col("test"))
    return known.with_columns(split=pl.coalesce("held", by_time)).drop("held", "valid", "test")
