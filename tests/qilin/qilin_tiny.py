"""A Qilin of six requests in the release's own schema, small enough to convert by hand."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.atomic import read
from recsys.qilin.schema import SCHEMAS

ORIGIN = 1_732_636_800
Rows = list[dict]


def shown(note: int, second: float, *, click: int = 0, position: int = 1) -> dict:
    """An exposure on every clock; the schema takes the one that it knows."""
    return {
        "note_idx": note,
        "click": click,
        "position": position,
        "request_timestamp": int((ORIGIN + second) * 1000),
        "search_timestamp": int(ORIGIN + second) + 28_800,
    }


def rec(index: int, user: int, exposures: Rows, window: tuple[int, ...] = ()) -> dict:
    return {
        "request_idx": index,
        "user_idx": user,
        "recent_clicked_note_idxs": list(window),
        "rec_result_details_with_idx": exposures,
    }


def search(index: int, user: int, query: str | None, exposures: Rows, window: tuple[int, ...] = (), kind=2.0) -> dict:
    return {
        "search_idx": index,
        "user_idx": user,
        "query": query,
        "query_from_type": kind,
        "recent_clicked_note_idxs": list(window),
        "search_result_details_with_idx": exposures,
    }


def tiny() -> dict[str, Rows]:
    return {
        "recommendation_train": [
            rec(0, 0, [shown(10, 1000.9, click=1, position=2), shown(11, 1000, position=1)], (3, 2, 1)),
            rec(1, 0, [shown(12, 2000, click=1), shown(13, 2010, click=1)], (10, 3, 2)),
        ],
        "recommendation_test": [rec(2, 1, [shown(14, 80_000), shown(15, 80_003, click=1)], (5, 4))],
        "search_train": [search(0, 0, "a b", [shown(20, 1500, click=1), shown(21, 1500)], (10, 3))],
        "search_test": [search(1, 1, "ＡＢ c", [shown(22, 79_500, click=1)], (6, 5, 4), kind=None)],
        "dqa": [search(2, 0, "为什么？", [shown(23, 900)], (9, 8, 9), kind=8.0)],
        "notes": [
            {"note_idx": i, "note_title": f"title {i}", "note_type": 1.0, "taxonomy3_id": "nan"} for i in range(24)
        ],
        "user_feat": [{"user_idx": i, "gender": "female", "location": "Hong Kong  Tsuen Wan"} for i in range(2)],
    }


def write_config(root: Path, config: str, rows: Rows, shard: str = "train-00000-of-00001") -> Path:
    path = root / config / f"{shard}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[config]), path)
    return path


def with_notes(folder: Path, kind: str) -> pl.DataFrame:
    """One atomic file of a conversion, with the notes' own numbers where items stand."""
    notes = dict(read(folder / f"{folder.name}.item", ["item_id", "note_idx"]).iter_rows())
    frame = read(folder / f"{folder.name}.{kind}")
    single = [name for name in ("item_id",) if name in frame.columns]
    lists = [name for name in ("history", "exposed", "clicked") if name in frame.columns]
    return frame.with_columns(
        pl.col(single).replace_strict(notes, default="?"),
        *(
            pl.Series(name, [[notes.get(i, "?") for i in row] for row in frame[name]], pl.List(pl.String))
            for name in lists
        ),
    )
