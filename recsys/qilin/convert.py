"""Qilin's parquet files → a folder of atomic files: read, put on one clock, split, write all or nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from recsys.atomic import write
from recsys.errors import InputError
from recsys.files import atomic_folder, sha256
from recsys.qilin import protocol, tables
from recsys.qilin.problems import Problems
from recsys.qilin.source import locate, notes, read
from recsys.qilin.timeline import CHANNELS, DAY, GRACE, ORIGIN, SEARCH_OFFSET, Log, log, together

FORMAT = 1
SYNTHETIC = "synthetic.json"  # lies beside the configurations of a synthesized Qilin and says how it was made

_RECBOLE = """\
# For stock RecBole 1.2.1: run_recbole(dataset="{stem}", config_file_list=[<this file>],
# config_dict={{"data_path": <the folder that holds this file's folder>}})
field_separator: "\\t"
seq_separator: " "
USER_ID_FIELD: user_id
ITEM_ID_FIELD: item_id
TIME_FIELD: timestamp
load_col:  # not the title: under pandas 3, RecBole 1.2.1 cannot load a token_seq
{columns}
filter_inter_by_user_or_item: false  # keep a click whose note or user has no features
MAX_ITEM_LIST_LENGTH: 50
train_neg_sample_args: null  # cross-entropy over all items
eval_args: {{split: {{LS: valid_and_test}}, group_by: user, order: TO, mode: full}}
"""


def convert(
    source: Path,
    output: Path,
    *,
    valid_fraction: float = 0.1,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Convert the Qilin in `source` to the atomic files `output/<output's name>.*`; return their meta.

    An earlier conversion in `output` is replaced; `source` is only read. Any row order gives the same files.

    Args:
        source: holds `<configuration>/*.parquet`, or `data/<configuration>/*.parquet`.
        output: folder to write, all or nothing.
        valid_fraction: share of the latest training requests that becomes the validation set.
        progress: called with a short line before each step.

    Raises:
        InputError: input that is not Qilin, an empty split, or an `output` that holds something else.
    """
    source, output = Path(source), Path(output)
    _require_own(output, source)
    files = locate(source)
    observed = _observe(files, progress)
    recommended = observed.requests.filter(config="recommendation_train")
    cut = protocol.valid_start(recommended["timestamp"], valid_fraction)
    requests = observed.requests.with_columns(split=protocol.split(cut))
    protocol.require_all(requests.filter(source="rec")["split"])

    frames = _frames(requests, observed.exposures, files, progress)
    meta = {
        "format": FORMAT,
        "source": source.absolute().name,
        "synthetic": _synthetic(source),
        "time_origin": ORIGIN,
        "time_unit": "s",
        "search_offset": SEARCH_OFFSET,
        "day": [0, DAY + GRACE],
        "split": {
            "valid_fraction": valid_fraction,
            "valid_start": cut,
            "test": _bounds(requests.filter(source="rec", split="test")),
            "search_test_start": protocol.SEARCH_TEST_START,
        },
        "counts": _counts(observed, requests, frames),
    }
    return _write(frames, meta, output, progress)


def _observe(files: dict[str, list[Path]], progress: Callable[[str], None]) -> Log:
    logs = []
    for config in (config for config in CHANNELS if config in files):
        progress(f"reading {config}")
        logs.append(log(pl.concat(read(config, path, Problems()) for path in files[config]), config))
    observed = together(logs)
    _require_distinct(observed.requests["request_id"], "request_idx (r) or search_idx (s)")
    return observed


def _frames(
    requests: pl.DataFrame, exposures: pl.DataFrame, files: dict[str, list[Path]], progress: Callable[[str], None]
) -> dict[str, pl.DataFrame]:
    progress("ordering clicks, requests and searches")
    queries = tables.queries(requests)
    frames = {
        "inter": tables.interactions(requests, exposures),
        "request": tables.recommendation_requests(requests, exposures),
        "search": tables.searches(requests, exposures, queries),
        "query": queries,
    }
    progress("reading notes")
    frames["item"] = tables.items(pl.concat(piece for path in files["notes"] for piece in notes(path, Problems())))
    _require_distinct(frames["item"]["item_id"], "note_idx of notes")
    if "user_feat" in files:
        frames["user"] = tables.users(pl.concat(read("user_feat", path, Problems()) for path in files["user_feat"]))
        _require_distinct(frames["user"]["user_id"], "user_idx of user_feat")
    return frames


def _write(
    frames: dict[str, pl.DataFrame], meta: dict[str, Any], output: Path, progress: Callable[[str], None]
) -> dict[str, Any]:
    stem = output.absolute().name
    with atomic_folder(output) as folder:
        for kind, frame in frames.items():
            progress(f"writing {stem}.{kind}")
            write(frame, folder / f"{stem}.{kind}", tables.TYPES[kind])
        (folder / f"{stem}.yaml").write_text(_recbole(stem, frames), encoding="utf-8")
        meta = {**meta, "sha256": {path.name: sha256(path) for path in sorted(folder.iterdir())}}
        text = json.dumps(meta, indent=2, ensure_ascii=False) + "\n"
        (folder / f"{stem}.meta.json").write_text(text, encoding="utf-8")
    return meta


def _recbole(stem: str, frames: dict[str, pl.DataFrame]) -> str:
    features = {kind: tables.TYPES[kind] for kind in ("item", "user") if kind in frames}
    tokens = {kind: [name for name, type_ in types.items() if type_ == "token"] for kind, types in features.items()}
    loaded = {"inter": ["user_id", "item_id", "timestamp"]} | tokens
    return _RECBOLE.format(stem=stem, columns="\n".join(f"  {kind}: [{', '.join(c)}]" for kind, c in loaded.items()))


def _counts(observed: Log, requests: pl.DataFrame, frames: dict[str, pl.DataFrame]) -> dict[str, Any]:
    events, notes = frames["inter"], frames["item"]["item_id"]
    searches = frames["search"]
    return {
        "events": _tally(events["source"]),
        "users": _distinct_per_split(events, "user_id"),
        "items": _distinct_per_split(events, "item_id"),
        "requests": _tally(requests.filter(source="rec")["split"]),
        "searches": _tally(searches["split"]),
        "searches_without_click": searches.filter(pl.col("clicked").list.len() == 0).height,
        "queries": frames["query"].height,
        "notes": notes.len(),
        "items_without_note": events.filter(~pl.col("item_id").is_in(notes.implode()))["item_id"].n_unique(),
        "exposures": observed.exposures.height,
        "exposures_merged": observed.merged,
        "dropped_skewed": {config: counts["skewed"] for config, counts in sorted(observed.dropped.items())},
        "dropped_empty": {config: counts["empty"] for config, counts in sorted(observed.dropped.items())},
    }


def _tally(values: pl.Series) -> dict[str, int]:
    return dict(values.value_counts().sort(values.name).iter_rows())


def _distinct_per_split(events: pl.DataFrame, column: str) -> dict[str, int]:
    per_split = events.group_by("split").agg(pl.col(column).n_unique()).sort("split")
    return {"all": events[column].n_unique(), **dict(per_split.iter_rows())}


def _bounds(requests: pl.DataFrame) -> list[int]:
    return [int(requests["timestamp"].min()), int(requests["timestamp"].max())]  # type: ignore[arg-type]


def _synthetic(folder: Path) -> dict[str, Any] | None:
    path = folder / SYNTHETIC
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _require_distinct(ids: pl.Series, what: str) -> None:
    if ids.is_duplicated().any():
        twice = ids.filter(ids.is_duplicated()).sort()[0]
        raise InputError(f"{what}: {twice} occurs twice; is a shard in the folder under two names?")


def _require_own(output: Path, source: Path) -> None:
    """Replacing a folder deletes what it held: refuse unless that is an earlier conversion without the source in it."""
    if source.resolve().is_relative_to(output.resolve()):
        raise InputError(f"{output}: the output would replace the source {source}; name another folder.")
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file; the output is a folder.")
    if output.is_dir() and any(output.iterdir()) and not (output / f"{output.absolute().name}.meta.json").is_file():
        raise InputError(f"{output}: holds something other than a conversion; name another folder.")
