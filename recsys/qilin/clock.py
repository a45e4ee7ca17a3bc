"""The offset between the clocks of search and recommendation, read off clicks that reach later windows.

A request's window lists the user's latest clicks in both channels. A note that is clicked in one channel, is missing
from the window of a request of the other channel and stands in that of the next was clicked between the two, so it
confines the offset to an interval. Windows lose clicks and some device clocks are set while people use them, so the
intervals vote; a clock that is wrong by the same time in both channels does not move its user's.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.qilin.timeline import SEARCH_OFFSET

HYPOTHESES = (SEARCH_OFFSET, 0, -SEARCH_OFFSET, 2 * SEARCH_OFFSET)  # documented; true epoch; the wrong way; twice
MIN_PAIRS = 30
MIN_SHARE = 0.7  # fewer intervals than this hold any offset when units are mixed; 97 % do in a sound log
OF_BEST = 0.95  # an offset that fewer hold, of those that hold the best one, is contradicted
_ZONES = np.arange(-57_600, 57_601, 900)  # time zones differ by quarters of an hour
_AS_GOOD = 0.99  # a time zone that so many hold, of the most that hold any offset, is the likelier truth


@dataclass(frozen=True)
class Calibration:
    """How many intervals hold which offset, in seconds to subtract from search clocks.

    Attributes:
        pairs: number of intervals.
        low, high: the offsets, ends included, that most intervals hold; the documented one if there are none.
        share: of the intervals, those that hold them.
        best: a whole time zone that about as many hold, or else the middle of the range.
        shares: of the intervals, those that hold `best` and each of `HYPOTHESES`.
    """

    pairs: int
    low: int
    high: int
    share: float
    best: int
    shares: dict[int, float]

    @property
    def verdict(self) -> str:
        """ "confirmed", "contradicted" or "too little evidence", on the documented offset.

        With 30 intervals, it is contradicted when fewer than 70 % hold it, or fewer than 95 % of those that hold the
        best one.
        """
        if self.pairs < MIN_PAIRS:
            return "too little evidence"
        documented = self.shares[SEARCH_OFFSET]
        return "confirmed" if documented >= max(MIN_SHARE, OF_BEST * self.share) else "contradicted"

    def sentence(self) -> str:
        """The evidence, and the way out of a contradiction."""
        clicks = f"{self.pairs:,} clicks that a later window of the other channel takes up"
        if self.verdict == "too little evidence":
            return (
                f"The offset of the search clock cannot be told: of at least {MIN_PAIRS} clicks that a later window of "
                f"the other channel takes up, there are {self.pairs}."
            )
        found = f"The documented offset of the search clock, {SEARCH_OFFSET} s, fits {self.shares[SEARCH_OFFSET]:.1%}"
        if self.verdict == "confirmed":
            return f"{found} of {clicks}; the best fits {self.share:.1%}."
        if self.share < MIN_SHARE:
            return (
                f"{found} of {clicks}, and no offset more than {self.share:.1%}: the clocks have no common unit or "
                f"zone; repair the times, or convert as they are with --search-offset {SEARCH_OFFSET}."
            )
        return (
            f"{found} of {clicks}, but {self.best} s fits {self.shares[self.best]:.1%} (the most, {self.share:.1%}, "
            f"from {self.low} to {self.high} s); convert with --search-offset {self.best} to follow the data."
        )


def evidence(requests: pl.DataFrame, clicks: pl.DataFrame) -> pl.DataFrame:
    """Intervals of offsets: one for each note that a user clicked once and that a later window takes up.

    The first window of a channel is no evidence, as it bounds one side only. Users are independent: the evidence of
    disjoint sets of them adds up to the evidence of all, and the order of rows does not matter.

    Args:
        requests: user_idx, channel ("rec", or anything else for the search clock), timestamp (seconds, the search
            clock uncorrected), window (notes in any order).
        clicks: user_idx, note_idx, channel, timestamp.

    Returns:
        low and high of each interval, ends included, sorted.
    """
    searched = pl.col("channel") != "rec"
    times = requests.select("user_idx", "timestamp", "window", searched=searched).drop_nulls("timestamp")
    starts = times.select("user_idx", "searched", "timestamp").unique().sort("user_idx", "searched", "timestamp")
    starts = starts.with_columns(before=pl.col("timestamp").shift().over("user_idx", "searched"))
    once = clicks.drop_nulls("timestamp").filter(pl.len().over("user_idx", "note_idx") == 1)
    once = once.select("user_idx", "note_idx", searched=~searched, clicked="timestamp")  # seen in the other channel
    seen = times.rename({"window": "note_idx"}).explode("note_idx").join(once, on=["user_idx", "searched", "note_idx"])
    first = seen.group_by("user_idx", "searched", "note_idx").agg(pl.col("timestamp", "clicked").min())
    between = first.join(starts, on=["user_idx", "searched", "timestamp"]).drop_nulls("before")
    before, clicked, after = pl.col("before"), pl.col("clicked"), pl.col("timestamp")
    return between.select(
        low=pl.when("searched").then(before - clicked).otherwise(clicked - after),
        high=pl.when("searched").then(after - clicked).otherwise(clicked - before),
    ).sort("low", "high")


def calibrate(intervals: pl.DataFrame) -> Calibration:
    """What `evidence` says of the offset, exactly: the most intervals overlap where one of them begins."""
    pairs = intervals.height
    if not pairs:
        return Calibration(0, SEARCH_OFFSET, SEARCH_OFFSET, 0.0, SEARCH_OFFSET, dict.fromkeys(HYPOTHESES, 0.0))
    lows, highs = np.sort(intervals["low"].to_numpy()), np.sort(intervals["high"].to_numpy())

    def held(offsets: np.ndarray) -> np.ndarray:
        begun, ended = np.searchsorted(lows, offsets, "right"), np.searchsorted(highs, offsets, "left")
        return np.asarray(begun - ended)

    def nearest(offsets: np.ndarray) -> int:
        return int(offsets[np.abs(offsets - SEARCH_OFFSET).argmin()])

    at_lows, at_zones = held(lows), held(_ZONES)
    most = int(at_lows.max())
    low = nearest(lows[at_lows == most])
    high = int(highs[np.searchsorted(highs, low, "left")])
    zoned = at_zones.max() >= _AS_GOOD * most
    best = nearest(_ZONES[at_zones == at_zones.max()]) if zoned else (low + high) // 2
    offsets = list(dict.fromkeys((best, *HYPOTHESES)))
    shares = dict(zip(offsets, (held(np.array(offsets)) / pairs).tolist(), strict=True))
    return Calibration(pairs, low, high, most / pairs, best, shares)
