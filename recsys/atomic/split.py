"""Leave-one-out, the split of data sets that bring none."""

import polars as pl


def leave_one_out(inter: pl.DataFrame) -> pl.DataFrame:
    """Add `split`: each user's last event is "test", the second last "valid", the others are "train".

    `inter` is sorted by user and time; ties in time keep the order of the file. Of two events one is "test" and one
    "train"; a single event is "train": a user who is tested has always been seen in training.
    """
    back = pl.int_range(pl.len()).reverse().over("user_id")
    count = pl.len().over("user_id")
    split = (
        pl.when(back.eq(0) & count.ge(2))
        .then(pl.lit("test"))
        .when(back.eq(1) & count.ge(3))
        .then(pl.lit("valid"))
        .otherwise(pl.lit("train"))
    )
    return inter.drop("split", strict=False).with_columns(split=split)
