"""The requests of a synthetic day in the release's columns, quirks included."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.qilin.protocol import SEARCH_TEST_START
from recsys.qilin.schema import REC_DETAILS, SCHEMAS, SEARCH_DETAILS, WINDOW
from recsys.qilin.synthetic.log import Day, Ragged, runs
from recsys.qilin.timeline import ORIGIN, SEARCH_OFFSET

_ORIGINS = (0.337, 0.51, 0.058, 0.04, 0.03, 0.014, 0.006, 0.005)  # share of each query_from_type, from 1


def table(config: str, columns: Mapping[str, Any]) -> pa.Table:
    """The columns of a configuration, in its schema."""
    schema = SCHEMAS[config]
    arrays = [_typed(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def recommendation(
    day: Day, windows: Ragged, number: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, pa.Table]]:
    """`recommendation_train` and `recommendation_test`; `number` is the note_idx of each note."""
    requests = day.rec.requests
    by_time = np.argsort(requests.start, kind="stable")
    parts = (by_time[~day.latest[by_time]], by_time[day.latest[by_time]])
    ids = [rng.permutation(len(parts[0])), len(parts[0]) + rng.permutation(len(parts[1]))]
    for config, chosen, index in zip(("recommendation_train", "recommendation_test"), parts, ids, strict=True):
        rows, window = day.rec.shown.pick(chosen), windows.pick(chosen)
        clock = rows.values["time"] + np.repeat(day.skew[requests.user[chosen]], rows.length) + ORIGIN * 1000
        browsed = _strings(window.length, day.language.titles.take(pa.array(window.values)))
        columns = {
            WINDOW: _ids(window, number),
            "request_idx": index,
            "session_idx": day.rec.session[chosen],
            "user_idx": requests.user[chosen],
            "rec_results": _ids(_hashed(rows, number)),
            "query": pc.binary_join(browsed, " "),
            REC_DETAILS: _details(config, REC_DETAILS, rows, number, clock, 0.0, day.profile.rec_labels, rng),
        }
        yield config, table(config, columns)


def search(day: Day, windows: Ragged, number: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, pa.Table]]:
    """`dqa`, `search_train` and `search_test`."""
    user, start = day.search.requests.user, day.search.requests.start
    by_time = np.argsort(start, kind="stable")
    asked, late = day.dqa[by_time], start[by_time] >= SEARCH_TEST_START
    parts = {"dqa": by_time[asked], "search_train": by_time[~asked & ~late], "search_test": by_time[~asked & late]}
    origin = rng.choice(np.arange(1.0, 9.0), len(user), p=_ORIGINS)
    used = 0
    for config, chosen in parts.items():
        rows = day.search.shown.pick(chosen)
        skew = np.repeat(day.skew[user[chosen]], rows.length)
        clock = (rows.values["time"] + skew) // 1000 + ORIGIN + SEARCH_OFFSET
        best = day.retrieved.pick(chosen)
        queries = day.language.queries.take(pa.array(chosen))
        triggered = rng.random(len(chosen)) < 0.42
        answer = pc.binary_join_element_wise("1. **", queries, "**\n", "")
        opened = np.where(triggered, 0.0, -1.0)
        columns = {
            "query": queries,
            "query_from_type": origin[chosen],
            "dqa_output": pc.if_else(pa.array(triggered), answer, "-1"),
            **dict.fromkeys(("is_like_clk", "is_onebox_trace_clk", "is_content_clk", "is_experience_clk"), opened),
            WINDOW: _ids(windows.pick(chosen), number),
            "ref_note_idx_list": _ids(_first(rows, np.where(triggered, day.profile.references, 0)), number),
            "session_idx": day.search.session[chosen],
            "search_idx": used + rng.permutation(len(chosen)),
            "user_idx": user[chosen],
            "bm25_results": _retrieved(best, number, 35.0, 0.4),
            "dpr_results": _retrieved(best, number, 340.0, 0.2),
            "search_results": _ids(_first(rows, rows.length), number),
            SEARCH_DETAILS: _details(
                config,
                SEARCH_DETAILS,
                rows,
                number,
                clock,
                -1.0 if config == "dqa" else np.nan,
                day.profile.search_labels,
                rng,
            ),
        }
        used += len(chosen)
        yield config, table(config, columns)


def listed(length: np.ndarray, values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Runs of `values` as a list column."""
    offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind)


def _details(
    config: str,
    column: str,
    rows: Ragged,
    number: np.ndarray,
    clock: np.ndarray,
    unknown: float,
    labels: tuple[float, float, float, float],
    rng: np.random.Generator,
) -> pa.Array:
    """The nested exposures of a configuration; `unknown` is what it writes where no page time is known."""
    kind = SCHEMAS[config].field(column).type
    click = rows.values["click"]
    read = np.where(rows.values["opened"], np.round(rng.lognormal(np.log(15), 1.3, len(click)), 3), unknown)
    liked = (rng.random((4, len(click))) < np.array(labels)[:, None]) & (click == 1)
    values: dict[str, np.ndarray] = {
        "click": click,
        **dict(zip(("like", "collect", "comment", "share"), liked.astype(np.int64), strict=True)),
        "note_idx": number[rows.values["note"]],
        "page_time": read,
        "position": rows.values["position"],
    }
    fields = list(kind.value_type)
    arrays = [pa.array(values.get(field.name, clock)).cast(field.type) for field in fields]
    return listed(rows.length, pa.StructArray.from_arrays(arrays, fields=fields), kind)


def _retrieved(found: Ragged, number: np.ndarray, best: float, step: float) -> pa.Array:
    """Pairs of note and falling score, as the release's retrievers left them."""
    kind = SCHEMAS["search_test"].field("dpr_results").type
    rank = runs(np.zeros_like(found.length), found.length)
    pairs = np.stack([number[found.values].astype(np.float64), best - step * rank], axis=1).ravel()
    return listed(found.length, listed(np.full(len(rank), 2), pa.array(pairs), kind.value_type), kind)


def _first(rows: Ragged, count: np.ndarray) -> Ragged:
    """The first `count` notes of each request."""
    length = np.minimum(rows.length, count)
    return Ragged(rows.values["note"][runs(np.cumsum(rows.length) - rows.length, length)], length)


def _hashed(rows: Ragged, number: np.ndarray) -> Ragged:
    """Each request's note numbers, each once, in the order of a Python set's table, its collisions aside."""
    request, note = np.repeat(np.arange(len(rows.length)), rows.length), number[rows.values["note"]]
    pairs = np.unique(request * len(number) + note)
    request, note = pairs // len(number), pairs % len(number)
    length = np.bincount(request, minlength=len(rows.length))
    slots = 8 * 4 ** np.searchsorted((5, 19, 77, 307, 1229), length, "right")  # it grows at three fifths
    return Ragged(note[np.lexsort((note, note % slots[request], request))], length)


def _ids(found: Ragged, number: np.ndarray | None = None) -> pa.Array:
    values = found.values if number is None else number[found.values]
    return listed(found.length, pa.array(values), SCHEMAS["dqa"].field(WINDOW).type)


def _strings(length: np.ndarray, values: pa.Array) -> pa.Array:
    return listed(length, values, pa.list_(pa.string()))


def _typed(column: Any, kind: pa.DataType) -> Any:
    return column.cast(kind) if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column, type=kind)
