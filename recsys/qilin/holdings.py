"""What a finished conversion holds, counted from its files: each measure a pure function of a few narrow columns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.atomic import read_header
from recsys.errors import InputError, did_you_mean

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Holdings:
    """The counted columns of a conversion: tokens as categories, sequences as lengths, items as 64-bit hashes.

    Attributes:
        clicks: user_id, item_id, timestamp, source, split.
        requests: user_id, timestamp, split, history, exposed, clicked; the last three are lengths.
        searches: user_id, timestamp, split, query_id, query_from_type, clicked (a length).
        queries: query_id, query (its number of characters).
        shown: item_id, split: the splits in whose requests each note clicked in the test was a candidate.
    """

    clicks: pl.DataFrame
    requests: pl.DataFrame
    searches: pl.DataFrame
    queries: pl.DataFrame
    shown: pl.DataFrame

    @classmethod
    def read(cls, folder: Path, stem: str) -> "Holdings":
        """Read `<folder>/<stem>.{inter,request,search,query}`; a missing file counts as an empty one.

        Raises:
            InputError: a file without one of the fields.
        """
        inter, request, search, query = (folder / f"{stem}.{kind}" for kind in ("inter", "request", "search", "query"))
        event = ["user_id", "timestamp", "split"]
        clicks = _counted(inter, [*event, "item_id", "source"])
        return cls(
            clicks,
            _counted(request, [*event, "history", "exposed", "clicked"]),
            _counted(search, [*event, "query_id", "query_from_type", "clicked"]),
            _counted(query, ["query_id", "query"]),
            _shown(request, clicks.filter(split="test")),
        )

    @property
    def splits(self) -> list[str]:
        """Those that occur, in the order of use."""
        found = {name for frame in (self.clicks, self.requests, self.searches) for name in frame["split"].unique()}
        return [name for name in SPLITS if name in found] + sorted(found.difference(SPLITS))

    @property
    def logged(self) -> pl.DataFrame:
        """The clicks without those that only a window tells of."""
        return self.clicks.filter(pl.col("source") != "window")

    @property
    def targets(self) -> pl.DataFrame:
        """user_id and timestamp of the test requests; where only clicks are held out, of the test clicks."""
        requests = self.requests.filter(split="test")
        return (self.logged.filter(split="test") if requests.is_empty() else requests).select("user_id", "timestamp")


def counts(held: Holdings, clicked: np.ndarray, known: np.ndarray) -> dict[str, Any]:
    """What was written; of items, which are distinct, those that are `clicked` and those `known`, whose notes exist."""
    return {
        "events": _tally(held.clicks["source"]),
        "users": _distinct(held.clicks, "user_id"),
        "items": _distinct(held.clicks, "item_id"),
        "requests": _tally(held.requests["split"]),
        "searches": _tally(held.searches["split"]),
        "searches_without_click": held.searches.filter(clicked=0).height,
        "queries": held.queries.height,
        "notes": len(known),
        "items_without_note": len(np.setdiff1d(clicked, known, assume_unique=True)),
    }


def events_per_user(events: pl.DataFrame, users: pl.Series) -> pl.Series:
    """Number of `events` of each of the distinct `users`, who may have none."""
    everyone = pl.DataFrame({"user_id": users.unique()})
    counted = everyone.join(events.group_by("user_id").len(), on="user_id", how="left")
    return counted["len"].fill_null(0)


def known_before(targets: pl.DataFrame, clicks: pl.DataFrame) -> pl.Series:
    """Number of the user's earlier clicks at each target; a click in the same second is not earlier."""
    columns = ["user_id", "timestamp", "click"]
    both = pl.concat([targets.with_columns(click=0).select(columns), clicks.with_columns(click=1).select(columns)])
    ordered = both.with_columns(pl.col("user_id").to_physical()).sort(columns)
    ordered = ordered.with_columns(known=pl.col("click").cum_sum().over("user_id"))
    return ordered.filter(click=0)["known"]


def since_search(requests: pl.DataFrame, searches: pl.DataFrame) -> pl.DataFrame:
    """Per request its split, and the seconds since the user's latest search before it; null where there is none."""
    latest = searches.select("user_id", "timestamp", searched="timestamp").sort("timestamp")
    found = requests.sort("timestamp").join_asof(
        latest, on="timestamp", by="user_id", strategy="backward", allow_exact_matches=False, check_sortedness=False
    )
    return found.select("split", seconds=pl.col("timestamp") - pl.col("searched"))


def cold(held: Holdings, known: Iterable[str]) -> dict[str, float]:
    """Shares of the recommended test clicks: on notes that the splits `known` say less and less of.

    Of notes that nobody clicked there, that no window there holds either, and that no recommendation there showed.
    A window belongs to the split of its user's first request.
    """
    clicks = held.clicks.filter(split="test", source="rec").select("item_id")
    inside = pl.col("split").is_in(list(known))
    earlier = held.clicks.filter(inside)
    places = {
        "no click": earlier.filter(pl.col("source") != "window"),
        "no click, no window": earlier,
        "never shown": held.shown.filter(inside),
    }
    unseen = {name: clicks.join(place, on="item_id", how="anti").height for name, place in places.items()}
    return {name: share(count, clicks.height) for name, count in unseen.items()}


def arrivals(requests: pl.DataFrame, past_midnight: int) -> list[int]:
    """Number of requests in each of the 24 hours of the day; time 0 lies `past_midnight` seconds into one."""
    hours = (requests["timestamp"].to_numpy() + past_midnight) // 3600 % 24
    return np.bincount(hours, minlength=24).tolist()


def binned(values: pl.Series, edges: Sequence[int], weights: pl.Series | None = None) -> list[int]:
    """Number of values (or sum of integer weights) from each edge up to the next; the last bin is open above."""
    bins = np.searchsorted(edges, values.to_numpy(), side="right") - 1
    counted = np.bincount(bins[bins >= 0], None if weights is None else weights.to_numpy()[bins >= 0], len(edges))
    return counted.astype(np.int64).tolist()


def bin_labels(edges: Sequence[int]) -> list[str]:
    """What `binned` counts, e.g. [0, 1, 2, 5] → 0, 1, 2–4, 5+."""
    closed = [f"{low}" if high == low + 1 else f"{low}–{high - 1}" for low, high in pairwise(edges)]
    return [*closed, f"{edges[-1]}+"]


def share(count: float, total: float) -> float:
    """A part of a whole; NaN of nothing."""
    return count / total if total else float("nan")


def shares(counts: Sequence[int]) -> list[float]:
    """Each count as a share of their sum."""
    return [share(count, sum(counts)) for count in counts]


def _counted(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    seconds = pl.col("timestamp").cast(pl.Float64).cast(pl.Int64)
    few = {name: pl.col(name).cast(pl.Categorical) for name in ("user_id", "split", "source")}
    many = {name: _length(name) for name in ("history", "exposed", "clicked", "query")}
    narrow = few | many | {"timestamp": seconds, "item_id": pl.col("item_id").hash()}
    return _text(path, columns).with_columns(narrow[c] for c in columns if c in narrow).collect(engine="streaming")


def _shown(path: Path, clicks: pl.DataFrame) -> pl.DataFrame:
    items = pl.col("exposed").str.split(" ").list.eval(pl.element().hash())
    candidates = _text(path, ["split", "exposed"]).select("split", item_id=items)
    wanted = clicks.lazy().select("item_id").unique()
    shown = candidates.explode("item_id", empty_as_null=False).join(wanted, on="item_id", how="semi").unique()
    return shown.collect(engine="streaming")


def _text(path: Path, columns: Sequence[str]) -> pl.LazyFrame:
    if not path.is_file():
        return pl.LazyFrame(schema=dict.fromkeys(columns, pl.String))
    header = read_header(path)
    for name in columns:
        if name not in header:
            raise InputError(f"{path}: no field {name!r}.{did_you_mean(name, header)}")
    frame = pl.scan_csv(path, separator="\t", quote_char=None, infer_schema=False)
    return frame.select(pl.col(f"{name}:{header[name]}").alias(name).fill_null("") for name in columns)


def _length(name: str) -> pl.Expr:
    """Elements are separated by single spaces: counting those is far cheaper than splitting."""
    separators = pl.col(name).str.count_matches(" ", literal=True).cast(pl.Int64)
    return (separators + (pl.col(name) != "").cast(pl.Int64)).alias(name)


def _tally(values: pl.Series) -> dict[str, int]:
    return dict(sorted(values.value_counts().iter_rows()))


def _distinct(clicks: pl.DataFrame, column: str) -> dict[str, int]:
    per_split = clicks.group_by("split").agg(pl.col(column).n_unique())
    return {"all": clicks[column].n_unique(), **dict(sorted(per_split.iter_rows()))}
