"""Which request is for training, validation and test: the official cut, and the end of the training set cut again."""

import polars as pl

from recsys.errors import InputError

SPLITS = ("train", "valid", "test")
SEARCH_TEST_START = 79_200  # 22:00, where the release cuts searches; DQA comes uncut


def valid_start(timestamps: pl.Series, fraction: float) -> int:
    """The time, in seconds since the origin, from which the last `fraction` of training requests begins.

    Raises:
        InputError: a fraction outside (0, 1), or no requests.
    """
    if not 0 < fraction < 1:
        raise InputError(f"valid_fraction is {fraction}; it should lie between 0 and 1, e.g. 0.1.")
    if timestamps.is_empty():
        raise InputError("recommendation_train has no request within the day; nothing is left to train on.")
    latest = max(1, round(len(timestamps) * fraction))
    return int(timestamps.sort()[-latest])


def split(cut: int) -> pl.Expr:
    """ "train", "valid" or "test" from a request's `config` and `timestamp`; a click takes that of its request."""
    config, timestamp = pl.col("config"), pl.col("timestamp")
    test = config.is_in(["recommendation_test", "search_test"])
    late_dqa = (config == "dqa") & (timestamp >= SEARCH_TEST_START)
    return (
        pl.when(test | late_dqa)
        .then(pl.lit("test"))
        .when(timestamp >= cut)
        .then(pl.lit("valid"))
        .otherwise(pl.lit("train"))
    )


def require_all(splits: pl.Series) -> None:
    """Refuse recommendation requests that leave a split empty.

    Raises:
        InputError: naming the first empty split.
    """
    counts = {name: int((splits == name).sum()) for name in SPLITS}
    for name, count in counts.items():
        if not count:
            raise InputError(f"The {name} split holds no recommendation request within the day; counts: {counts}.")
