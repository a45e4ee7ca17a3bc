"""Which clicks and searches are for training, validation and test."""

import polars as pl

from recsys import atomic
from recsys.errors import InputError
from recsys.tables.options import Options

STAGE = {"train": 0, "valid": 1, "test": 2}
"""The splits in the order in which they become known."""


def split_clicks(clicks: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Clicks with their `split`. They are sorted by user and time, in whole seconds.

    Raises:
        InputError: a split is left empty.
    """
    if options.split == "leave_one_out":
        clicks = atomic.leave_one_out(clicks)
        missing = "each of them takes a user with three clicks or more"
    else:
        test = _latest(clicks["timestamp"], options.test_fraction)
        valid = _latest(clicks["timestamp"].filter(clicks["timestamp"] < test), options.valid_fraction)
        clicks = clicks.with_columns(_stage(pl.lit(valid), pl.lit(test)))
        missing = "clicks of one second are on one side of a cut; other fractions cut elsewhere"
    for split in STAGE:
        if split not in clicks["split"]:
            raise InputError(f"--split {options.split} leaves no click for {split!r}: {missing}.")
    return clicks


def split_searches(searches: pl.DataFrame, clicks: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Searches with the `split` whose requests may be the first to know them; those of the training know no others.

    A search from the moment of a held-out click on is none of the training's.
    """
    begin = (pl.col("timestamp").filter(pl.col("split") == name).min().alias(name) for name in ("valid", "test"))
    if options.split == "temporal":
        return searches.join(clicks.select(*begin), how="cross").with_columns(_stage(pl.col("valid"), pl.col("test")))
    bounds = clicks.group_by("user_id").agg(*begin)
    joined = searches.join(bounds, on="user_id", how="left", maintain_order="left")
    return joined.with_columns(_stage(pl.col("valid"), pl.col("test")))


def _stage(valid: pl.Expr, test: pl.Expr) -> pl.Expr:
    """`split` by two moments; one that is null never comes."""
    when = pl.col("timestamp")
    held_out = pl.when(when >= test).then(pl.lit("test")).when(when >= valid).then(pl.lit("valid"))
    return held_out.otherwise(pl.lit("train")).alias("split")


def _latest(times: pl.Series, fraction: float) -> int:
    """The moment from which the latest `fraction` of `times`, and at least one of them, lies."""
    if times.is_empty():
        raise InputError(
            "--split temporal: all clicks lie in the test; a smaller --test_fraction leaves some to train."
        )
    return int(times.sort(descending=True)[max(1, round(len(times) * fraction)) - 1])
