"""The notes and the users of a synthetic day in the release's columns."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recsys.qilin.schema import SCHEMAS
from recsys.qilin.synthetic.log import Day, runs
from recsys.qilin.synthetic.tables import listed, table

_AGES = ("1-12", "13-15", "16-18", "19-22", "23-25", "26-30", "31-35", "36-40", "40+", "unknown")


def notes(day: Day, number: np.ndarray, rng: np.random.Generator) -> Iterator[Iterator[pa.Table]]:
    """The notes in the order of their numbers: of each file, pieces of at most `day.profile.rows` rows."""
    note, rows = np.argsort(number), day.profile.rows
    for part in np.array_split(np.arange(len(note)), day.profile.shards):
        yield (_piece(day, note[first : min(first + rows, part[-1] + 1)], first, rng) for first in part[::rows])


def users(day: Day, rng: np.random.Generator) -> pa.Table:
    """`user_feat`."""
    count = len(day.skew)
    numbers = {name: np.floor(rng.lognormal(3, 2, count)) for name in _doubles("user_feat")}
    places = np.array(["Hong Kong  Tsuen Wan", "中国  上海", None], dtype=object)
    columns = {
        **numbers,
        "gender": rng.choice(["female", "male", "unknown"], count, p=[0.765, 0.2, 0.035]),
        "platform": rng.choice(["iOS", "Android", "Harmony", "unknown"], count, p=[0.536, 0.388, 0.04, 0.036]),
        "age": rng.choice(_AGES, count, p=day.profile.ages),
        "location": rng.choice(places, count, p=[0.1, 0.1, 0.8]),
        "user_idx": np.arange(count),
    }
    return table("user_feat", columns)


def _piece(day: Day, note: np.ndarray, first: int, rng: np.random.Generator) -> pa.Table:
    topic, topics = day.topic[note], int(day.topic.max()) + 1
    video = rng.random(len(note)) < day.video[note]
    content = day.language.contents(topic, rng)
    numbers = {name: np.floor(rng.lognormal(2, 1.5, len(note))) for name in _doubles("notes")}
    parents = -(-topics // day.profile.siblings)
    identified = pa.array([f"c{value:023d}" for value in range(topics + parents)])
    unknown = pa.array(rng.random(len(note)) < 0.4)
    index = np.arange(first, first + len(note))
    columns = {
        **numbers,
        "note_title": day.language.titles.take(pa.array(note)),
        "note_content": content,
        "note_type": np.where(video, 2.0, 1.0),
        "commercial_flag": np.zeros(len(note)),
        "content_length": pc.utf8_length(content).to_numpy() + index % (day.profile.trimmed + 1),
        "taxonomy1_id": identified.take(pa.array(topics + topic // day.profile.siblings)),
        "taxonomy2_id": identified.take(pa.array(topic)),
        "taxonomy3_id": pc.if_else(unknown, "nan", identified.take(pa.array(topic))),
        "note_idx": index,
        "image_path": _images(index, 1 + index % day.profile.images),
    }
    return table("notes", columns)


def _images(index: np.ndarray, count: np.ndarray) -> pa.Array:
    folder = pa.array(np.repeat(index, count)).cast(pa.string())
    file = pa.array(runs(np.zeros_like(count), count)).cast(pa.string())
    paths = pc.binary_join_element_wise("image/part_0/", folder, "/", file, ".jpg", "")
    return listed(count, paths, SCHEMAS["notes"].field("image_path").type)


def _doubles(config: str) -> list[str]:
    return [field.name for field in SCHEMAS[config] if field.type == pa.float64()]
