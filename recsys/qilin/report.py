"""The page beside a conversion: what it holds, what was left out and why, and how it was made."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import polars as pl

from recsys import page as html
from recsys.page import Axes, Html, Share
from recsys.qilin import holdings
from recsys.qilin.holdings import Holdings, bin_labels, binned, share, shares

BEIJING = timezone(timedelta(hours=8))
GAPS = {"5 min": 300, "30 min": 1_800, "2 h": 7_200, "24 h": 86_400}  # from a search to a later request

_SOURCES = {"rec": "in the feed", "search": "after a search", "dqa": "after an answer", "window": "in windows alone"}
_SPLITS = {"train": "training", "valid": "validation", "test": "test"}
_ORIGINS = {  # by query_from_type
    "0": "unknown",
    "1": "typed",
    "2": "completed automatically",
    "3": "taken from the history",
    "4": "suggested among results",
    "5": "suggested within a note",
    "6": "filter",
    "7": "hot list",
    "8": "other",
}
_LEFT_OUT = {"dropped", "merged", "removed", "skipped", "left", "reanchored", "own"}
_WHY = {
    "dropped_skewed": "Requests dropped: the clock of the device shows another day",
    "reanchored": "Requests moved to the day: the clock of the device shows another one",
    "exposures_merged": "Exposures that repeated a note within its request",
    "own_clicks_in_window": "Clicks, kept, on notes that stood in their request's own window",
    "repeated_clicks_left_out": "Clicks left out as repeated, by dedup",
    "clicks_on_rare_items_left_out": "Clicks left out as rare, by min_count",
    "requests_left_out_by_the_split": "Requests that the split leaves out as targets",
    "bad_rows_left_out": "Bad rows left out, by on_error",
}


def page(held: Holdings, stem: str, meta: dict[str, Any]) -> str:
    """A self-contained HTML page about the conversion called `stem` that holds `held` and that `meta` describes.

    All of `meta` is shown, so that a new option or count appears by itself.
    """
    counts = meta.get("counts", {})
    left_out = {name: value for name, value in counts.items() if _LEFT_OUT.intersection(name.split("_"))}
    others = {name: value for name, value in counts.items() if name not in left_out}
    options = {name: value for name, value in meta.items() if name not in ("counts", "clock", "sha256")}
    origin = meta.get("time_origin", 0)
    return html.document(
        f"{stem}: what the conversion holds",
        _provenance(meta),
        html.tiles(_totals(held)),
        html.section("Splits", html.table(*_per_split(held))),
        html.section("What was left out, and why", _tally(left_out)),
        html.section("How it was made", html.facts(_facts(options))),
        html.section(
            "One clock for both channels", *_clock(meta), html.grid(_arrivals(held, origin), _searched_before(held))
        ),
        html.section("Requests", html.grid(_clicks(held), _candidates(held))),
        html.section("Users and their past", html.grid(_events(held), _histories(held))),
        html.section("Notes", html.grid(_popularity(held), _cold(held))),
        html.section("Searches", html.grid(_query_lengths(held), _query_origins(held))),
        html.section("Everything else that was counted", _tally(others)),
        html.section("Files", html.details("SHA-256 of each", html.facts(meta.get("sha256", {}).items()))),
    )


def _provenance(meta: dict[str, Any]) -> Html:
    source = html.figure(meta.get("source"))
    if not meta.get("synthetic"):
        return html.paragraph(f"Converted from {source}.")
    made = ", ".join(f"{label} {html.figure(value)}" for label, _, value in _flat(meta["synthetic"]))
    return html.banner(
        "Synthetic data", f"Nothing measured on it says anything about Qilin. Source: {source} ({made})."
    )


def _totals(held: Holdings) -> dict[str, int]:
    return {
        "Recommendation requests": held.requests.height,
        "Searches": held.searches.height,
        "Clicks": held.logged.height,
        "Users": held.clicks["user_id"].n_unique(),
        "Notes clicked or in a window": held.clicks["item_id"].n_unique(),
    }


def _per_split(held: Holdings) -> tuple[list[str], list[list[object]]]:
    splits = held.splits

    def row(name: str, frame: pl.DataFrame, column: str | None = None) -> list[object]:
        parts = [*(frame.filter(split=split) for split in splits), frame]
        return [name, *(part.height if column is None else part[column].n_unique() for part in parts)]

    clicks = held.clicks
    sources = [name for name in _SOURCES if (clicks["source"] == name).any()]
    rows = [
        row("Requests", held.requests),
        *(row(f"Clicks {_SOURCES[name]}", clicks.filter(source=name)) for name in sources),
        row("Searches", held.searches),
        row("Users with a click", clicks, "user_id"),
        row("Notes clicked", held.logged, "item_id"),
    ]
    return ["Number of", *(_SPLITS.get(split, split).capitalize() for split in splits), "All"], rows


def _tally(counts: Mapping[str, Any]) -> Html:
    """Counts as a table; one in parts stands with its sum, where that means something, above those that are not 0."""
    rows: list[list[object]] = []
    for name, value in counts.items():
        parts = {label: part for label, _, part in _flat(value)} if isinstance(value, dict) else {}
        summed = parts and "all" not in parts and all(isinstance(part, int) for part in parts.values())
        whole = sum(parts.values()) if summed else "" if parts else value
        rows.append([_WHY.get(name, _capital(name.replace("_", " "))), whole])
        rows += [["\u2003" + label, part] for label, part in parts.items() if part != 0]
    return html.table(["What", "Number"], rows) if rows else html.paragraph("Nothing.")


def _clock(meta: dict[str, Any]) -> list[Html]:
    said = html.paragraph(
        f"Recommendations are logged in true epoch milliseconds, searches in seconds of Beijing's wall clock: "
        f"{_said('search_offset', meta.get('search_offset'))} were taken off the latter. "
        "With a wrong offset the two curves below would sleep at different hours."
    )
    if not (clock := meta.get("clock")):
        return [said, html.paragraph("The offset is the documented one; it was not compared with the data.")]
    return [said, html.facts(_facts(clock if isinstance(clock, dict) else {"clock": clock}))]


def _arrivals(held: Holdings, origin: int) -> Html:
    began = datetime.fromtimestamp(origin, BEIJING)
    past_midnight = began.hour * 3600 + began.minute * 60 + began.second
    axes = Axes("Arrivals per hour", "hour of the day, Beijing time", "requests per hour")
    series = {
        "recommendation requests": holdings.arrivals(held.requests, past_midnight),
        "searches": holdings.arrivals(held.searches, past_midnight),
    }
    return html.lines(axes, range(24), series, every=3)


def _clicks(held: Holdings) -> Html:
    edges = [0, 1, 2, 3, 4, 5, 6, 8, 10, 20]
    axes = Axes("Clicks per request", "clicked notes", "share of requests", share=True)
    return html.bars(axes, bin_labels(edges), _by_split(held.requests, "clicked", edges))


def _candidates(held: Holdings) -> Html:
    edges = [1, 6, 11, 16, 21, 31, 51, 101]
    axes = Axes("Candidates per request", "notes shown", "share of requests", share=True)
    return html.bars(axes, bin_labels(edges), _by_split(held.requests, "exposed", edges))


def _by_split(requests: pl.DataFrame, column: str, edges: Sequence[int]) -> dict[str, list[float]]:
    frames = {_SPLITS[split]: requests.filter(split=split) for split in ("train", "test")}
    return {name: shares(binned(frame[column], edges)) for name, frame in frames.items()}


def _events(held: Holdings) -> Html:
    edges = [0, 1, 3, 10, 30, 100, 300]
    users = pl.concat([held.clicks["user_id"], held.requests["user_id"], held.searches["user_id"]])
    axes = Axes("Events per user", "number of events", "users", "Clicks include those that windows tell of.")
    series = {
        "clicks": binned(holdings.events_per_user(held.clicks, users), edges),
        "searches": binned(holdings.events_per_user(held.searches, users), edges),
    }
    return html.bars(axes, bin_labels(edges), series)


def _histories(held: Holdings) -> Html:
    edges = [0, 1, 5, 10, 20, 21, 51, 101]
    axes = Axes(
        "History at test requests",
        "clicks known when the request begins",
        "share of requests",
        "As the log's clicks of the user put in order, and as the window that came with the request.",
        share=True,
    )
    delivered = held.requests.filter(split="test")["history"]
    series = {
        "timeline": shares(binned(holdings.known_before(held.targets, held.clicks), edges)),
        "delivered window": shares(binned(delivered, edges)),
    }
    return html.bars(axes, bin_labels(edges), series)


def _popularity(held: Holdings) -> Html:
    edges = [1, 2, 3, 5, 10, 20, 50]
    clicks = held.logged.group_by("item_id").len()["len"]
    axes = Axes("Popularity", "clicks of a note", "share", "Of all notes with a logged click, and of the clicks.", True)
    series = {"of notes": shares(binned(clicks, edges)), "of clicks": shares(binned(clicks, edges, weights=clicks))}
    return html.bars(axes, bin_labels(edges), series)


def _cold(held: Holdings) -> Html:
    known = {"in training": ["train"], "in training and validation": ["train", "valid"]}
    series = {name: holdings.cold(held, splits) for name, splits in known.items()}
    note = "Recommended test clicks on a note that was never clicked, or in a window, or shown to anyone before."
    axes = Axes("Cold notes among test clicks", "what the note lacks", "share of clicks", note, share=True)
    labels = list(series["in training"])
    return html.bars(axes, labels, {name: list(found.values()) for name, found in series.items()})


def _searched_before(held: Holdings) -> Html:
    since = holdings.since_search(held.requests, held.searches)
    series = {}
    for split in held.splits:
        seconds = since.filter(split=split)["seconds"]
        within = [int((seconds <= gap).sum()) for gap in GAPS.values()]
        series[_SPLITS.get(split, split)] = [share(count, len(seconds)) for count in within]
    note = "Requests whose user had searched, any time up to so long before; a search in the same second is not before."
    axes = Axes("Requests with a visible search", "searched within", "share of requests", note, share=True)
    return html.bars(axes, list(GAPS), series)


def _query_lengths(held: Holdings) -> Html:
    edges = list(range(1, 12))
    queries = held.searches.join(held.queries, on="query_id")["query"]
    note = "Of searches with a query; one that is repeated counts each time."
    axes = Axes("Query length", "characters", "share of searches", note, share=True)
    return html.bars(axes, bin_labels(edges), {"searches": shares(binned(queries, edges))})


def _query_origins(held: Holdings) -> Html:
    counted = dict(held.searches["query_from_type"].value_counts().iter_rows())
    rows = [[_ORIGINS.get(name, name), number] for name, number in sorted(counted.items())]
    return html.table(
        ["Where queries came from", "Searches", "Share"],
        ([name, number, Share(share(number, held.searches.height))] for name, number in rows),
    )


def _facts(values: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Nested values as pairs of a name in words and a value with its unit."""
    return ((_capital(label), _said(name, value)) for label, name, value in _flat(values))


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every value that is no mapping: the words of its path, its own name, itself."""
    for name, value in values.items():
        label = above + str(name).replace("_", " ")
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{label}: ")
        else:
            yield label, str(name), value


def _said(name: str, value: Any) -> object:
    if name == "time_origin" and isinstance(value, int):
        return f"{datetime.fromtimestamp(value, BEIJING):%Y-%m-%d %H:%M} Beijing time (Unix time {value})"
    if name.endswith("offset") and isinstance(value, int):
        return f"{value:,} s ({value / 3600:g} h)"
    return value


def _capital(label: str) -> str:
    return label[:1].upper() + label[1:]
