"""A small, seeded Qilin in the release's exact parquet schema, quirks included, for machines without the real one."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import InputError
from recsys.files import atomic_folder
from recsys.qilin import shown, words, world
from recsys.qilin.convert import SYNTHETIC
from recsys.qilin.protocol import SEARCH_TEST_START
from recsys.qilin.schema import REC_DETAILS, SCHEMAS, SEARCH_DETAILS, WINDOW
from recsys.qilin.shown import Ragged
from recsys.qilin.timeline import DAY, ORIGIN, SEARCH_OFFSET
from recsys.qilin.world import TOPICS, Requests, World

TEST_SHARE = 0.12  # of the recommendation requests, the latest
SKEWED = 0.005  # share of users whose device clock is days behind


def synthesize(
    output: Path,
    *,
    users: int = 1000,
    seed: int = 0,
    influence: float = 0.6,
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Write a synthetic Qilin to the folder `output`; the same arguments write the same bytes.

    Args:
        output: folder to write, all or nothing; an earlier synthetic Qilin in it is replaced.
        users: number of users, at least 20; each sends about 8 recommendation requests and 5 searches.
        seed: of everything random.
        influence: probability that a click made soon after a search is on the searched topic; 0 is the control, with
            the same searches and no effect of them.
        progress: called with a short line before each step.

    Raises:
        InputError: an argument out of range, or an `output` that holds something else.
    """
    output = Path(output)
    if users < 20:
        raise InputError(f"users is {users}; it should be at least 20.")
    if not 0 <= influence <= 1:
        raise InputError(f"influence is {influence}; it should lie between 0 and 1.")
    if seed < 0:
        raise InputError(f"seed is {seed}; it should be 0 or more.")
    if output.exists() and not (output.is_dir() and (not any(output.iterdir()) or (output / SYNTHETIC).is_file())):
        raise InputError(f"{output}: holds something other than a synthetic Qilin; name another folder.")
    progress(f"drawing {users} users and their day")
    tables = _tables(world.create(users, seed, influence), seed)
    with atomic_folder(output) as folder:
        for config, columns in tables.items():
            progress(f"writing {config}")
            (folder / config).mkdir()
            pq.write_table(_table(SCHEMAS[config], columns), folder / config / "train-00000-of-00001.parquet")
        made = {"users": users, "seed": seed, "influence": influence}
        (folder / SYNTHETIC).write_text(json.dumps(made) + "\n", encoding="utf-8")


def _tables(made: World, seed: int) -> dict[str, dict[str, Any]]:
    # A stream for each part, as in the world: influence changes no search.
    shuffle, texts, rec, search, lost, people = (np.random.default_rng([seed, stage]) for stage in range(5, 11))
    number = shuffle.permutation(len(made.notes.topic))  # note → note_idx, so that no id tells a pool or a topic
    lexicon = words.lexicon(texts)
    titles = words.titles(made.notes.topic, lexicon, texts)
    queries = words.queries(made.search.topic, lexicon, texts)
    recommended, found = shown.recommended(made, rec), shown.found(made, search)
    clicks = _clicks(made, recommended, found)
    windows = [shown.windows(requests, clicks, lost) for requests in (made.rec, made.search)]
    skew = _skew(len(made.preference), people)
    return {
        **_recommendation(made.rec, recommended, windows[0], titles, number, skew, rec),
        **_search(made, found, windows[1], queries, number, skew, search),
        "notes": _notes(made, number, titles, lexicon, texts),
        "user_feat": _users(len(made.preference), people),
    }


def _clicks(made: World, recommended: Ragged, found: Ragged) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every click, logged or before the day: user, millisecond, note."""
    parts = [(made.past[0], made.past[1] * 1000, made.past[2])]
    for requests, exposures in ((made.rec, recommended), (made.search, found)):
        clicked = exposures.values["click"] == 1
        user = np.repeat(requests.user, exposures.length)[clicked]
        parts.append((user, exposures.values["time"][clicked], exposures.values["note"][clicked]))
    user, time, note = (np.concatenate(column) for column in zip(*parts, strict=True))
    return user, time, note


def _skew(users: int, rng: np.random.Generator) -> np.ndarray:
    """Milliseconds by which each user's clock is off."""
    skew = np.zeros(users, np.int64)
    wrong = rng.choice(users, max(1, round(SKEWED * users)), replace=False)
    skew[wrong] = -rng.integers(1, 8, len(wrong)) * DAY * 1000
    return skew


def _recommendation(
    requests: Requests,
    exposures: Ragged,
    windows: Ragged,
    titles: np.ndarray,
    number: np.ndarray,
    skew: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, dict[str, Any]]:
    by_time = np.argsort(requests.start, kind="stable")
    train, test = np.split(by_time, [round(len(by_time) * (1 - TEST_SHARE))])
    index = np.concatenate([rng.permutation(len(train)), len(train) + rng.permutation(len(test))])
    tables = {}
    for config, chosen, ids in (
        ("recommendation_train", train, index[: len(train)]),
        ("recommendation_test", test, index[len(train) :]),
    ):
        rows, window = exposures.pick(chosen), windows.pick(chosen)
        late = np.repeat(skew[requests.user[chosen]], rows.length)
        clock = rows.values["time"] + late + ORIGIN * 1000
        browsed = np.split(titles[window.values], np.cumsum(window.length)[:-1])
        results = [np.unique(number[run]) for run in np.split(rows.values["note"], np.cumsum(rows.length)[:-1])]
        tables[config] = {
            WINDOW: _ids(window, number),
            "request_idx": ids,
            "session_idx": len(requests.user) + chosen,
            "user_idx": requests.user[chosen],
            "rec_results": _ids(Ragged(np.concatenate(results), np.array([len(run) for run in results]))),
            "query": [" ".join(run) for run in browsed],
            REC_DETAILS: _details(config, REC_DETAILS, rows, number, clock, 0.0, rng),
        }
    return tables


def _search(
    made: World,
    exposures: Ragged,
    windows: Ragged,
    queries: np.ndarray,
    number: np.ndarray,
    skew: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, dict[str, Any]]:
    user, start = made.search.user, made.search.start
    by_time = np.argsort(start, kind="stable")
    asked, late = made.dqa[by_time], start[by_time] >= SEARCH_TEST_START
    parts = {"dqa": by_time[asked], "search_train": by_time[~asked & ~late], "search_test": by_time[~asked & late]}
    origin = rng.choice(np.arange(1.0, 9.0), len(user), p=[0.337, 0.51, 0.058, 0.04, 0.03, 0.014, 0.006, 0.005])
    tables, used = {}, 0
    for config, chosen in parts.items():
        rows = exposures.pick(chosen)
        clock = (rows.values["time"] + np.repeat(skew[user[chosen]], rows.length)) // 1000 + ORIGIN + SEARCH_OFFSET
        retrieved = [_retrieved(rows, number, best, step) for best, step in ((35.0, 0.4), (340.0, 0.2))]
        triggered = rng.random(len(chosen)) < 0.42
        opened = np.where(triggered, 0.0, -1.0)
        tables[config] = {
            "query": queries[chosen],
            "query_from_type": origin[chosen],
            "dqa_output": np.where(triggered, "1. **" + queries[chosen] + "**\n", "-1"),
            **dict.fromkeys(("is_like_clk", "is_onebox_trace_clk", "is_content_clk", "is_experience_clk"), opened),
            WINDOW: _ids(windows.pick(chosen), number),
            "ref_note_idx_list": _ids(Ragged(np.zeros(0, np.int64), np.zeros(len(chosen), np.int64))),
            "session_idx": chosen,
            "search_idx": used + rng.permutation(len(chosen)),
            "user_idx": user[chosen],
            "bm25_results": retrieved[0],
            "dpr_results": retrieved[1],
            "search_results": _ids(Ragged(rows.values["note"], rows.length), number),
            SEARCH_DETAILS: _details(
                config, SEARCH_DETAILS, rows, number, clock, -1.0 if config == "dqa" else np.nan, rng
            ),
        }
        used += len(chosen)
    return tables


def _details(
    config: str,
    column: str,
    rows: Ragged,
    number: np.ndarray,
    clock: np.ndarray,
    unknown: float,
    rng: np.random.Generator,
) -> pa.Array:
    """The nested exposures of a configuration; `unknown` is what it writes for the page time of a note not opened."""
    kind = SCHEMAS[config].field(column).type
    click = rows.values["click"]
    read = np.where(click == 1, np.round(rng.lognormal(np.log(15), 1.3, len(click)), 3), unknown)
    liked = (rng.random((4, len(click))) < [[0.05], [0.017], [0.005], [0.006]]) & (click == 1)
    values: dict[str, np.ndarray] = {
        "click": click,
        **dict(zip(("like", "collect", "comment", "share"), liked.astype(np.int64), strict=True)),
        "note_idx": number[rows.values["note"]],
        "page_time": read,
        "position": rows.values["position"],
    }
    fields = list(kind.value_type)
    arrays = [pa.array(values.get(field.name, clock)).cast(field.type) for field in fields]
    return _list(rows.length, pa.StructArray.from_arrays(arrays, fields=fields), kind)


def _retrieved(rows: Ragged, number: np.ndarray, best: float, step: float) -> pa.Array:
    """Pairs of note and falling score, as the release's retrievers left them."""
    kind = SCHEMAS["search_test"].field("dpr_results").type
    rank = shown.runs(np.zeros_like(rows.length), rows.length)
    pairs = np.stack([number[rows.values["note"]].astype(np.float64), best - step * rank], axis=1).ravel()
    return _list(rows.length, _list(np.full(len(rank), 2), pa.array(pairs), kind.value_type), kind)


def _ids(runs: Ragged, number: np.ndarray | None = None) -> pa.Array:
    values = runs.values if number is None else number[runs.values]
    return _list(runs.length, pa.array(values), SCHEMAS["dqa"].field(WINDOW).type)


def _list(length: np.ndarray, values: pa.Array, kind: pa.DataType) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind)


def _table(schema: pa.Schema, columns: Mapping[str, Any]) -> pa.Table:
    arrays = [pa.array(columns[field.name], type=field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _notes(
    made: World, number: np.ndarray, titles: np.ndarray, lexicon: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    note = np.argsort(number)  # rows in the order of note_idx
    topic, video = made.notes.topic[note], rng.random(len(note)) < 0.3
    content = words.contents(topic, lexicon, rng)
    numbers = {
        field.name: np.floor(rng.lognormal(2, 1.5, len(note)))
        for field in SCHEMAS["notes"]
        if field.type == pa.float64()
    }
    identified = np.array([f"c{value:023d}" for value in range(TOPICS + 8)], dtype=object)
    return {
        **numbers,
        "note_title": titles[note],
        "note_content": content,
        "note_type": np.where(video, 2.0, 1.0),
        "commercial_flag": np.zeros(len(note)),
        "content_length": np.array([float(len(text)) for text in content]),
        "taxonomy1_id": identified[TOPICS + topic // 5],
        "taxonomy2_id": identified[topic],
        "taxonomy3_id": np.where(rng.random(len(note)) < 0.4, "nan", identified[topic]),
        "note_idx": np.arange(len(note)),
        "image_path": [[f"image/part_0/{index}/0.jpg"] for index in range(len(note))],
    }


def _users(users: int, rng: np.random.Generator) -> dict[str, Any]:
    ages = ["1-12", "13-15", "16-18", "19-22", "23-25", "26-30", "31-35", "36-40", "40+", "unknown"]
    numbers = {
        field.name: np.floor(rng.lognormal(3, 2, users)) for field in SCHEMAS["user_feat"] if field.type == pa.float64()
    }
    places = np.array(["Hong Kong  Tsuen Wan", "中国  上海", None], dtype=object)
    return {
        **numbers,
        "gender": rng.choice(["female", "male", "unknown"], users, p=[0.765, 0.2, 0.035]),
        "platform": rng.choice(["iOS", "Android", "Harmony", "unknown"], users, p=[0.536, 0.388, 0.04, 0.036]),
        "age": rng.choice(ages, users),
        "location": rng.choice(places, users, p=[0.1, 0.1, 0.8]),
        "user_idx": np.arange(users),
    }
