"""A folder of atomic files as arrays: who clicked what when, the requests to predict, the searches."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys import atomic
from recsys.data.items import catalogue
from recsys.data.ragged import Ragged, grouped_offsets, offsets_of
from recsys.data.records import Events, Requests, Searches
from recsys.errors import InputError
from recsys.models.text import gram_matrix

SPLITS = ("train", "valid", "test")
CATALOGUE = ("catalogue",)
"""As a vocabulary: all items that the data set describes or that were clicked in training."""


@dataclass(frozen=True)
class Dataset:
    """Everything that training and evaluation need, in memory."""

    name: str
    items: atomic.Vocabulary
    users: Sequence[str]
    events: Events
    requests: Requests
    searches: Searches | None
    synthetic: bool
    """True for generated data, whose figures say nothing about the real one."""
    fingerprint: str
    """Digest of the files and the rules that made these arrays."""


def load(path: Path, vocabulary: tuple[str, ...] = ("train",), min_count: int = 1) -> Dataset:
    """Read the data set folder `path`; file names start with the folder's name, as RecBole has it.

    A data set with a `.request` file brings its own splits. Any other is split leave-one-out: each event is a request
    of its own, ties in time keep the order of the file. The item vocabulary is made of the items with at least
    `min_count` events in the splits named in `vocabulary`; CATALOGUE is made of all items of the `.item` file and of
    training, however few their events.

    Raises:
        InputError: missing folder, file or field; an empty split.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such data set folder. `recsys convert` makes one.")
    stem = path.resolve().name
    inter = _read_inter(path / f"{stem}.inter")
    official = (path / f"{stem}.request").is_file()
    if not official:
        inter = atomic.leave_one_out(inter)
    inter = inter.with_columns(_split_number(path / f"{stem}.inter", inter["split"]))
    users = inter["user_id"].unique().sort()
    meta = read_meta(path)
    requests = _read_requests(path / f"{stem}.request", _windows(meta)) if official else None
    if requests is not None:
        users = pl.concat([users, requests["user_id"]]).unique().sort()
    items = _vocabulary(path, inter, vocabulary, min_count)
    number = pl.DataFrame({"user_id": users, "user": np.arange(len(users))})
    inter = inter.join(number, on="user_id", maintain_order="left").sort("user", "timestamp", maintain_order=True)
    events = Events(
        user=inter["user"].to_numpy(),
        item=items.encode(inter["item_id"]),
        timestamp=inter["timestamp"].to_numpy(),
        split=inter["split"].to_numpy(),
    )
    dataset = Dataset(
        name=stem,
        items=items,
        users=users.to_list(),
        events=events,
        requests=_from_file(requests, number, items) if requests is not None else _from_events(inter, events),
        searches=_read_searches(path, stem, number, items),
        synthetic=bool(meta.get("synthetic")),
        fingerprint=fingerprint(path, vocabulary, min_count),
    )
    for i, split in enumerate(SPLITS):
        if not (dataset.requests.split == i).any():
            raise InputError(f"{path}: the split {split!r} is empty: no request to predict.")
    return dataset


def _vocabulary(path: Path, inter: pl.DataFrame, vocabulary: tuple[str, ...], min_count: int) -> atomic.Vocabulary:
    if vocabulary == CATALOGUE:
        return atomic.Vocabulary.of(pl.concat([catalogue(path), inter.filter(pl.col("split") == 0)["item_id"]]))
    counted = inter.filter(pl.col("split").is_in([SPLITS.index(s) for s in vocabulary])).group_by("item_id").len()
    items = atomic.Vocabulary.of(counted.filter(pl.col("len") >= min_count)["item_id"])
    if len(items) == 1:
        raise InputError(f"{path}: no item has {min_count} clicks in {' + '.join(vocabulary)}; lower min_count.")
    return items


def _read_inter(path: Path) -> pl.DataFrame:
    wanted = ["user_id", "item_id", "timestamp"]
    header = atomic.read_header(path)
    frame = atomic.read(path, [*wanted, "split"] if "split" in header else wanted)
    if frame.is_empty():
        raise InputError(f"{path}: no interactions.")
    return frame.sort("user_id", "timestamp", maintain_order=True).with_columns(_seconds(path, frame, "timestamp"))


def _seconds(path: Path, frame: pl.DataFrame, name: str) -> pl.Expr:
    if frame[name].null_count():
        raise InputError(f"{path}: field {name!r} is empty in line {int(frame[name].is_null().arg_max() or 0) + 2}.")
    if not frame[name].is_finite().all():
        line = int((~frame[name].is_finite()).arg_max() or 0) + 2
        raise InputError(f"{path}: field {name!r} in line {line} is {frame[name][line - 2]}, which is no time.")
    return pl.col(name).floor().cast(pl.Int64)


def _split_number(path: Path, split: pl.Series) -> pl.Series:
    number = split.replace_strict(dict(zip(SPLITS, range(3), strict=True)), default=None, return_dtype=pl.Int64)
    if number.null_count():
        wrong = split.filter(number.is_null())[0]
        raise InputError(f"{path}: split {wrong!r} is none of {', '.join(SPLITS)}.")
    return number.alias("split")


def _read_requests(path: Path, windows: bool) -> pl.DataFrame:
    columns = ["request_id", "user_id", "timestamp", "split", "clicked"]
    if "exposed" in (known := atomic.read_header(path)):
        columns += [name for name in ("exposed", "position") if name in known]
    frame = atomic.read(path, columns + ["history"] * windows)
    if "position" in frame.columns and (frame["position"].list.len() != frame["exposed"].list.len()).any():
        line = int((frame["position"].list.len() != frame["exposed"].list.len()).arg_max() or 0) + 2
        raise InputError(f"{path}: line {line} has another number of positions than of exposed items.")
    return frame.with_columns(_seconds(path, frame, "timestamp"), _split_number(path, frame["split"]))


def _from_file(frame: pl.DataFrame, number: pl.DataFrame, items: atomic.Vocabulary) -> Requests:
    frame = frame.join(number, on="user_id", maintain_order="left").sort("user", "timestamp", maintain_order=True)
    clicks = frame.select(row=pl.int_range(pl.len()), item_id="clicked").explode("item_id", empty_as_null=False)
    requests = Requests(
        id=frame["request_id"].to_list(),
        user=frame["user"].to_numpy(),
        timestamp=frame["timestamp"].to_numpy(),
        split=frame["split"].to_numpy(),
        order=None,
        target=Ragged(offsets_of(frame["clicked"].list.len().to_numpy()), items.encode(clicks["item_id"])),
        candidate=None,
        clicked=None,
        delivered=_delivered(frame, items) if "history" in frame.columns else None,
    )
    if "exposed" not in frame.columns:
        return requests
    pairs = frame.select(row=pl.int_range(pl.len()), item_id="exposed").explode("item_id", empty_as_null=False)
    hits = clicks.unique().with_columns(hit=True)
    hit = pairs.join(hits, on=["row", "item_id"], how="left", maintain_order="left")["hit"]
    return replace(
        requests,
        candidate=Ragged(offsets_of(frame["exposed"].list.len().to_numpy()), items.encode(pairs["item_id"])),
        clicked=hit.fill_null(False).to_numpy(),
        position=_positions(frame) if "position" in frame.columns else None,
    )


def _positions(frame: pl.DataFrame) -> np.ndarray:
    return frame["position"].explode(empty_as_null=False).cast(pl.Int64).to_numpy()


def _delivered(frame: pl.DataFrame, items: atomic.Vocabulary) -> Ragged:
    window = frame.select(row=pl.int_range(pl.len()), item_id="history").explode("item_id", empty_as_null=False)
    number = items.encode(window["item_id"])
    row = window["row"].to_numpy()[number > 0]
    return Ragged(grouped_offsets(row, frame.height), number[number > 0])


def _from_events(inter: pl.DataFrame, events: Events) -> Requests:
    n = len(events.user)
    first = grouped_offsets(events.user, int(events.user.max()) + 1)[events.user]
    return Requests(
        id=inter["user_id"].to_list(),
        user=events.user,
        timestamp=events.timestamp,
        split=events.split,
        order=np.arange(n) - first,
        target=Ragged(np.arange(n + 1), events.item),
        candidate=None,
        clicked=None,
    )


def _read_searches(path: Path, stem: str, number: pl.DataFrame, items: atomic.Vocabulary) -> Searches | None:
    file = path / f"{stem}.search"
    if not file.is_file():
        return None
    columns = ["user_id", "timestamp", "query_id", "query_from_type", "split"]
    listed = atomic.read_header(file).get("clicked") == "token_seq"
    frame = atomic.read(file, columns + ["clicked"] * listed)
    frame = frame.with_columns(_seconds(file, frame, "timestamp"), _split_number(file, frame["split"]))
    frame = frame.filter(pl.col("query_id") != "")  # a search without words says nothing
    query = atomic.read(path / f"{stem}.query", ["query_id", "query"]).with_row_index("query_row")
    if query["query_id"].is_duplicated().any():
        twice = query.filter(query["query_id"].is_duplicated())["query_id"][0]
        raise InputError(f"{path / stem}.query: query_id {twice!r} occurs twice.")
    frame = frame.join(number, on="user_id", maintain_order="left").join(
        query.select("query_id", "query_row"), on="query_id", how="left", maintain_order="left"
    )
    if frame["query_row"].null_count():
        missing = frame.filter(pl.col("query_row").is_null())["query_id"][0]
        raise InputError(f"{file}: query_id {missing!r} is not in {stem}.query.")
    frame = frame.sort("user", "timestamp", "query_id", "query_from_type")  # in whatever order the file has them
    return Searches(
        user=frame["user"].to_numpy(),
        timestamp=frame["timestamp"].to_numpy(),
        split=frame["split"].to_numpy(),
        type=frame["query_from_type"]
        .cast(pl.Float64, strict=False)
        .cast(pl.Int64, strict=False)
        .fill_null(0)
        .clip(0, 8)
        .to_numpy(),
        gram=gram_matrix(["".join(characters) for characters in query["query"]])[frame["query_row"].to_numpy()],
        clicked=_clicked(frame, items) if listed else None,
    )


def _clicked(frame: pl.DataFrame, items: atomic.Vocabulary) -> Ragged:
    return Ragged(
        offsets_of(frame["clicked"].list.len().to_numpy()), items.encode(frame["clicked"].explode(empty_as_null=False))
    )


def read_meta(path: Path) -> dict[str, Any]:
    """What a conversion says of the folder `path`; nothing about data sets from elsewhere.

    Raises:
        InputError: a `.meta.json` that holds no JSON object.
    """
    file = path / f"{path.resolve().name}.meta.json"
    try:
        return dict(json.loads(file.read_text("utf-8"))) if file.is_file() else {}
    except (ValueError, TypeError) as error:
        raise InputError(f"{file}: not a JSON object ({error}).") from error


def fingerprint(path: Path, vocabulary: tuple[str, ...] = ("train",), min_count: int = 1) -> str:
    """Digest of the files of `path` and of the rules by which they are read."""
    digest = hashlib.sha256(repr((vocabulary, min_count, _windows(read_meta(path)))).encode())
    for suffix in ("inter", "request", "search", "query", *(["item"] if vocabulary == CATALOGUE else [])):
        file = path / f"{path.resolve().name}.{suffix}"
        if file.is_file():
            digest.update(suffix.encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _windows(meta: dict[str, Any]) -> bool:
    return bool(meta.get("options", {}).get("history") == "window")
