"""Checks of a raw Qilin: each a pure function from what was read to a finding, held against what is published.

Requests have the columns config, source ("rec", "search", "dqa"), file, row (within the file), request (its number over
all files), index, user_idx, session_idx, window (newest first, as delivered), shown (number of exposures) and timestamp
(of the first exposure, seconds since the day began, the documented offset of search subtracted); exposures have
request, config, note_idx, click, position and timestamp. What is missing is null.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import polars as pl

from recsys.qilin.clock import Calibration
from recsys.qilin.release import CLICKLESS, NUMBERS, REPEATED_TEST_CLICKS, ROWS, TEST_CLICKS
from recsys.qilin.schema import OPTIONAL
from recsys.qilin.timeline import DAY, GRACE

Status = Literal["as published", "differs", "wrong"]

ENOUGH = 30  # rows or pairs; of fewer, no share is called wrong
_DAY = datetime(2024, 11, 27)
_FAR = 3_650 * DAY  # seconds; farther from the day no date is worth writing
_STRANGE_CLOCKS = 0.02  # share of requests outside the day that device clocks explain
_OWN = (0.001, 0.05)  # share of clicks in the window of their own request: up to this as published, from this on wrong


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was looked at.
        status: "as published"; "differs", as in a sample or a synthetic Qilin; "wrong", if a conversion would refuse
            it or be misled.
        found, expected: what is there, and what is known of the release.
        hint: what a difference means and what to do; empty if there is none.
    """

    name: str
    status: Status
    found: str
    expected: str
    hint: str = ""


def rows(config: str, count: int | None) -> Finding:
    """The number of rows of a configuration, None where it has no files."""
    expected = f"{ROWS[config]:,}"
    name = f"rows of {config}"
    if count is None:
        return Finding(name, "differs", "no files", expected, "This configuration is optional.")
    if not count and config not in OPTIONAL:
        return Finding(name, "wrong", "0", expected, "Nothing to convert; download it again.")
    return Finding(name, _same(count == ROWS[config]), f"{count:,}", expected)


def note_numbers(numbers: pl.Series) -> Finding:
    """`note_idx` of all files of notes in their order: the row's number, for the release."""
    name, expected = "note_idx of notes", "the number of the row"
    repeated = len(numbers) - numbers.n_unique()
    if numbers.null_count() or repeated:
        found = f"{numbers.null_count():,} missing, {repeated:,} repeated"
        return Finding(name, "wrong", found, expected, "A note needs one number of its own; is a file there twice?")
    strays = int((numbers != pl.int_range(len(numbers), eager=True)).sum())
    found = f"{strays:,} are another number" if strays else f"0 to {len(numbers) - 1:,}"
    return Finding(name, _same(not strays), found, expected)


def note_ids(used: pl.Series, numbers: pl.Series) -> Finding:
    """Distinct notes that were shown or stand in a window: all of them among the notes."""
    return _among("notes shown or in windows", used, numbers, "notes")


def user_ids(used: pl.Series, numbers: pl.Series | None) -> Finding:
    """Distinct users of all requests, among those of user_feat (None if it is absent); each there once."""
    name = "users"
    if numbers is None:
        return Finding(name, "differs", f"{used.len():,}", "all in user_feat", "There is no user_feat: no attributes.")
    if repeated := len(numbers) - numbers.n_unique():
        hint = "user_idx of user_feat must not recur; is a file there twice?"
        return Finding(name, "wrong", f"{repeated:,} repeated in user_feat", "all in user_feat", hint)
    return _among(name, used, numbers, "user_feat")


def _among(name: str, used: pl.Series, numbers: pl.Series, config: str) -> Finding:
    expected = f"all in {config}"
    if negative := int((used < 0).sum()):
        return Finding(name, "wrong", f"{negative:,} are negative", expected, "Ids count from 0; -1 is no id.")
    absent = used.filter(~used.is_in(numbers.implode())).drop_nulls()
    if absent.is_empty():
        return Finding(name, "as published", f"{len(used):,}, all in {config}", expected)
    found = f"{len(absent):,} of {len(used):,} are not in {config}, e.g. {absent.sort()[0]}"
    if config in OPTIONAL or 2 * len(absent) > len(used):
        return Finding(name, "differs", found, expected, f"These have no attributes, as in a sample of {config}.")
    hint = f"A file of {config} is missing, or the configurations are of different releases."
    return Finding(name, "wrong", found, expected, hint)


def request_numbers(requests: pl.DataFrame, column: str) -> Finding:
    """`request_idx` or `search_idx` of the requests that share its numbers: unique, in the release's ranges."""
    ranges = {config: NUMBERS[config] for config in requests["config"].unique(maintain_order=True)}
    expected = ", ".join(f"{config} {low:,} to {high:,}" for config, (low, high) in ranges.items())
    repeated = requests.filter(pl.col("index").is_not_null() & ~pl.col("index").is_first_distinct())
    if repeated.height:
        file, row, index = repeated.select("file", "row", "index").row(0)
        hint = f"{file}: row {row} has {index} again, and so on; is a file there twice?"
        return Finding(column, "wrong", f"{repeated.height:,} repeated", expected, hint)
    bounds = requests.group_by("config", maintain_order=True).agg(low=pl.col("index").min(), high=pl.col("index").max())
    found = {config: (low, high) for config, low, high in bounds.iter_rows()}
    text = ", ".join(f"{config} {low:,} to {high:,}" for config, (low, high) in found.items())
    return Finding(column, _same(found == ranges), text, expected)


def missing(requests: pl.DataFrame, exposures: pl.DataFrame) -> Finding:
    """What one configuration's rows lack: ids, times and exposures never, in the release."""
    config = requests["config"][0]
    name, expected = f"missing in {config}", "no id, time or exposure"
    columns = ["query", "query_from_type"] if config not in ("recommendation_train", "recommendation_test") else []
    counts = {column: requests[column].null_count() for column in ("index", "user_idx", *columns)}
    counts |= {
        "exposures (whole list)": int((requests["shown"] == 0).sum()),
        "windows (empty)": int((requests["window"].list.len().fill_null(0) == 0).sum()),
        **{column: exposures[column].null_count() for column in ("note_idx", "click", "position", "timestamp")},
    }
    if columns:
        counts["query (empty)"] = int(requests["query"].is_in(["", "-1", "nan"]).sum())
    found = ", ".join(f"{column} {count:,}" for column, count in counts.items() if count) or "nothing"
    fatal = [c for c in ("index", "user_idx", "exposures (whole list)", "note_idx", "timestamp") if counts[c]]
    if not fatal:
        return Finding(name, "as published", found, expected)
    return Finding(name, "wrong", found, expected, _first_without(requests, exposures))


def _first_without(requests: pl.DataFrame, exposures: pl.DataFrame) -> str:
    gaps = exposures.filter(pl.any_horizontal(pl.col("note_idx", "timestamp").is_null()))["request"].unique()
    bad = pl.any_horizontal(pl.col("index", "user_idx").is_null()) | (pl.col("shown") == 0)
    file, row = requests.filter(bad | pl.col("request").is_in(gaps.implode())).select("file", "row").row(0)
    return f"The first is row {row} (from 0) of {file}; `--on-error skip` leaves such rows out of a conversion."


def missing_texts(config: str, nulls: dict[str, int], nans: dict[str, int], count: int) -> Finding:
    """Text columns of notes or user_feat that are null in some of `count` rows, or hold the text "nan"."""
    parts = [f"{column} {rows / count:.1%}" for column, rows in nulls.items() if rows]
    parts += [f"{column} {rows / count:.1%} 'nan'" for column, rows in nans.items() if rows]
    empty = [column for column, rows in nulls.items() if rows == count]
    hint = f"Nothing is known of {', '.join(empty)}." if empty else ""
    return Finding(f"missing in {config}", _same(not empty), ", ".join(parts) or "nothing", "no column empty", hint)


def positives(exposures: pl.DataFrame) -> Finding:
    """Clicks of the recommendation test, and how many of them repeat a note of their request."""
    clicks = exposures.filter((pl.col("config") == "recommendation_test") & (pl.col("click") > 0))
    repeated = clicks.height - clicks.select("request", "note_idx").n_unique()
    found = (clicks.height, repeated)
    text = "{:,}, {:,} of them repeated"
    expected = (TEST_CLICKS, REPEATED_TEST_CLICKS)
    return Finding(
        "clicks of recommendation_test", _same(found == expected), text.format(*found), text.format(*expected)
    )


def clickless(requests: pl.DataFrame, exposures: pl.DataFrame) -> Finding:
    """Rows without a click, by configuration: questions only."""
    clicked = exposures.filter(pl.col("click") > 0)["request"].unique()
    none = requests.filter(~pl.col("request").is_in(clicked.implode()))["config"].to_list()
    configs = requests["config"].unique(maintain_order=True).to_list()
    found = {config: none.count(config) for config in configs}
    expected = {config: CLICKLESS[config] for config in configs}
    names = ("recommendation_train", "recommendation_test", "search_train", "search_test")
    hint = "Without clicks nothing can be learnt from them." if any(found.get(name) for name in names) else ""
    return Finding("rows without a click", _same(found == expected), _listed(found), _listed(expected), hint)


def repeated_exposures(exposures: pl.DataFrame) -> Finding:
    """Exposures that show a note of their request again: the release has some in recommendation."""
    pairs = exposures.group_by("config", maintain_order=True).agg(
        again=pl.len() - pl.struct("request", "note_idx").n_unique()
    )
    found = dict(pairs.iter_rows())
    some = any(count for config, count in found.items() if config.startswith("rec"))
    return Finding("repeated exposures", _same(some), _listed(found), "some in recommendation")


def own_clicks(requests: pl.DataFrame, exposures: pl.DataFrame) -> Finding:
    """Clicks in recommendation that stand in the window of their own request: if many, windows give targets away."""
    name, expected = "own clicks in windows of recommendation", "hardly any"
    clicks = exposures.filter(pl.col("click") > 0).join(
        requests.filter(source="rec").select("request", "window"), on="request"
    )
    own = clicks.select(pl.col("note_idx").is_in(pl.col("window")).fill_null(False)).to_series()
    share = _share(own)
    hint = "Windows hold what the request is to predict; models would be shown the answer."
    if len(own) >= ENOUGH and share > _OWN[1]:
        return Finding(name, "wrong", f"{share:.1%} of {len(own):,}", expected, hint)
    return Finding(name, _same(share <= _OWN[0]), f"{share:.1%} of {len(own):,}", expected)


def window_order(requests: pl.DataFrame, exposures: pl.DataFrame) -> Finding:
    """Of two clicks of a request, one after the other, the later stands first in the window of the next request."""
    channel = pl.col("source") == "rec"
    ordered = requests.drop_nulls("timestamp").sort("user_idx", channel, "timestamp", "request")
    follows = ordered.select("request", "window", before=pl.col("request").shift().over("user_idx", channel))
    follows = follows.drop_nulls("before").with_columns(place=pl.int_ranges(pl.col("window").list.len()))
    places = (
        follows.explode("window", "place", empty_as_null=False).group_by("before", "window").agg(pl.col("place").min())
    )
    clicks = exposures.filter(pl.col("click") > 0).group_by("request", "note_idx").agg(pl.col("timestamp").min())
    found = clicks.join(places, left_on=["request", "note_idx"], right_on=["before", "window"])
    found = found.sort("request", "timestamp", "note_idx")
    step = found.select(
        later=pl.col("timestamp").diff().over("request"), further=pl.col("place").diff().over("request")
    ).filter(pl.col("later") > 0)
    newest_first = step["further"] < 0
    share, name, expected = _share(newest_first), "windows newest first", "nearly all"
    text = f"{share:.1%} of {len(newest_first):,} pairs of clicks"
    if len(newest_first) < ENOUGH:
        return Finding(name, "differs", text, expected, "Too few clicks reach the user's next window to tell.")
    if share < 0.5:
        hint = "Windows run the other way round: the converter, which reverses them, would turn history backwards."
        return Finding(name, "wrong", text, expected, hint)
    return Finding(name, _same(share >= 0.9), text, expected)


def times(requests: pl.DataFrame) -> Finding:
    """First and last time of one configuration, and the requests outside the day, whose clocks must be wrong."""
    config, seconds = requests["config"][0], requests["timestamp"].drop_nulls()
    name, expected = f"times of {config}", "27 November 2024 in Beijing"
    outside = _share(~seconds.is_between(0, DAY + GRACE, closed="left"))
    if seconds.is_empty():
        return Finding(name, "wrong", "none", expected, "No exposure has a time.")
    low, high = int(seconds.min()), int(seconds.max())  # type: ignore[arg-type]
    found = f"{_when(low)} to {_when(high)}, {outside:.1%} outside the day"
    if len(seconds) >= ENOUGH and outside > 0.5:
        unit = "milliseconds since 1970" if config.startswith("rec") else "seconds since 1970 + 28800"
        return Finding(name, "wrong", found, expected, f"Not {unit}, or not Qilin's day: nearly all would be dropped.")
    hint = "Device clocks that are wrong; these requests are not taken at their word."
    return Finding(name, _same(outside <= _STRANGE_CLOCKS), found, expected, hint if outside else "")


def split_overlap(requests: pl.DataFrame) -> Finding:
    """Recommendation requests for training that begin after the first one for testing; the release has some."""
    name, expected = "training after the test begins", "some (testing begins at about 19:14)"
    within = requests.filter(pl.col("timestamp").is_between(0, DAY + GRACE, closed="left"))
    train, test = (within.filter(config=f"recommendation_{part}")["timestamp"] for part in ("train", "test"))
    if train.is_empty() or test.is_empty():
        return Finding(name, "differs", "no request within the day", expected)
    first = int(test.min())  # type: ignore[arg-type]
    late = _share(train >= first)
    found = f"{late:.1%} of {len(train):,}, testing begins at {_when(first)}"
    if min(len(train), len(test)) >= ENOUGH and train.median() >= test.median():  # type: ignore[operator]
        return Finding(name, "wrong", found, expected, "The test is not later than training; are the files exchanged?")
    return Finding(name, _same(late > 0), found, expected)


def sessions(requests: pl.DataFrame) -> Finding:
    """`session_idx` that both channels use; in the release they look disjoint."""
    name, expected = "sessions of both channels", "none in common"
    rec, search = (requests.filter(part)["session_idx"].drop_nulls().unique() for part in _channels())
    if rec.is_empty() or search.is_empty():
        return Finding(name, "differs", "no session_idx", expected)
    common = rec.is_in(search.implode()).sum()
    return Finding(name, _same(not common), f"{common:,} in common of {len(rec):,} and {len(search):,}", expected)


def search_clock(calibration: Calibration) -> Finding:
    """The offset of the search clock, as the data have it."""
    status: dict[str, Status] = {"confirmed": "as published", "contradicted": "wrong"}
    found = f"{calibration.verdict}, {calibration.pairs:,} pairs"
    if calibration.pairs:
        found += ", " + ", ".join(f"{offset} s {share:.1%}" for offset, share in calibration.shares.items())
    verdict = status.get(calibration.verdict, "differs")
    hint = "" if verdict == "as published" else calibration.sentence()
    return Finding("offset of the search clock", verdict, found, "28800 s", hint)


def _channels() -> Iterator[pl.Expr]:
    yield pl.col("source") == "rec"
    yield pl.col("source") != "rec"


def _same(same: bool) -> Status:
    return "as published" if same else "differs"


def _share(marked: pl.Series) -> float:
    return float(marked.mean() or 0.0)  # type: ignore[arg-type]


def _listed(counts: dict[str, int]) -> str:
    some = ", ".join(f"{config} {count:,}" for config, count in counts.items() if count)
    return some or "none"


def _when(seconds: int) -> str:
    if abs(seconds) > _FAR:
        return f"{seconds:,} s from the day"
    return (_DAY + timedelta(seconds=seconds)).strftime("%m-%d %H:%M:%S" if not 0 <= seconds < DAY else "%H:%M:%S")
