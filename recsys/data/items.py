"""What the `.item` file of a data set says of its items: titles and categories as hashes, vectors as they are."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from recsys import atomic
from recsys.data.ragged import Ragged, grouped_offsets
from recsys.errors import InputError
from recsys.models.content import Content
from recsys.models.text import gram_matrix

_CHUNK = 100_000  # titles hashed at once
TAXONOMIES = ("taxonomy1", "taxonomy2", "taxonomy3")


def item_file(path: Path) -> Path:
    """The `.item` file of the data set folder `path`."""
    return path / f"{path.resolve().name}.item"


def catalogue(path: Path) -> pl.Series:
    """The ids of all items that the data set describes."""
    return atomic.read(item_file(path), ["item_id"])["item_id"]


def read_content(
    path: Path, items: atomic.Vocabulary, categories: Sequence[str] | None = None, vectors: str | None = None
) -> Content:
    """What is known of the items of a vocabulary; of one that the file does not name, nothing.

    Titles are the field whose name ends in "title", without its white space. Categories are the token fields named, by
    default Qilin's taxonomies where there are any; each counts by field and value. `vectors` is a field of vectors.

    Raises:
        InputError: no `.item` file, no such field, nothing to tell items by, an item described twice, vectors that
            differ in length.
    """
    file = item_file(path)
    header = atomic.read_header(file)
    titles = [name for name in header if name.endswith("title")][:1]
    named = _named(header, categories)
    if not titles and not named and vectors is None:
        raise InputError(f"{file}: no field whose name ends in 'title', and no --data.categories: nothing known.")
    frame, number = _known(file, items, [*titles, *named, *([vectors] if vectors else [])])
    if len(np.unique(number)) < len(number):
        raise InputError(f"{file}: item {frame.filter(frame['item_id'].is_duplicated())['item_id'][0]!r} occurs twice.")
    return Content(
        gram=_arranged(_grams(frame[titles[0]] if titles else None, len(frame)), number, len(items)),
        category=_arranged(_categories(file, frame, named), number, len(items)),
        vector=_arranged(_given_vectors(file, frame, vectors), number, len(items)),
    )


def read_kinds(
    path: Path, items: atomic.Vocabulary, categories: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Categories as small numbers from 1, `[items, most]` int32 filled up with 0: of all fields, and of the first.

    The fields are those of `read_content`; None if there are none.

    Raises:
        InputError: a field named that the file lacks, or that holds numbers.
    """
    file = item_file(path)
    if not file.is_file():
        return None
    header = atomic.read_header(file)
    named = _named(header, categories)
    if not named:
        return None
    frame, number = _known(file, items, named)
    tables = [_arranged(_categories(file, frame, fields), number, len(items)) for fields in (named, named[:1])]
    return _numbered(tables[0]), _numbered(tables[1])


def _named(header: Mapping[str, str], categories: Sequence[str] | None) -> list[str]:
    """The fields that tell items apart: those named, else the taxonomies that the file has."""
    return [name for name in TAXONOMIES if name in header] if categories is None else list(categories)


def _known(file: Path, items: atomic.Vocabulary, fields: Sequence[str]) -> tuple[pl.DataFrame, np.ndarray]:
    """The rows of the vocabulary's items, and the number of each."""
    frame = atomic.read(file, ["item_id", *fields])
    number = items.encode(frame["item_id"])
    return frame.filter(number > 0), number[number > 0]


def _numbered(hashes: np.ndarray) -> np.ndarray:
    distinct, number = np.unique(hashes, return_inverse=True)
    first = int(len(distinct) > 0 and distinct[0] > 0)  # without a 0 among them, the first is a category
    return (number.reshape(hashes.shape) + first).astype(np.int32)


def _arranged(rows: np.ndarray, number: np.ndarray, n_items: int) -> np.ndarray:
    """Each row at the number of its item, zeros elsewhere."""
    arranged = np.zeros_like(rows, shape=(n_items, rows.shape[1]))
    arranged[number] = rows
    return arranged


def _grams(title: pl.Series | None, n_rows: int) -> np.ndarray:
    if title is None:
        return np.zeros((n_rows, 0), np.uint32)
    text = title.list.join("") if title.dtype == pl.List(pl.String) else title
    parts = [gram_matrix(text[start : start + _CHUNK].to_list()) for start in range(0, n_rows, _CHUNK)]
    matrix = np.zeros((n_rows, max((part.shape[1] for part in parts), default=0)), np.uint32)
    for i, part in enumerate(parts):
        matrix[i * _CHUNK : i * _CHUNK + len(part), : part.shape[1]] = part
    return matrix


def _categories(file: Path, frame: pl.DataFrame, names: Sequence[str]) -> np.ndarray:
    """`[rows, categories]` uint32, what a row has of them first."""
    rows, hashes = [np.zeros(0, np.int64)], [np.zeros(0, np.uint32)]
    for field in frame.select(names):
        if field.dtype not in (pl.String, pl.List(pl.String)):
            raise InputError(f"{file}: --data.categories names {field.name!r}, which holds numbers, no tokens.")
        value = pl.DataFrame({"row": np.arange(len(field)), "value": field})
        if field.dtype != pl.String:
            value = value.explode("value", empty_as_null=True).fill_null("")
        value = value.filter(pl.col("value") != "").unique(maintain_order=True)
        distinct = value["value"].unique().to_list()
        code = {each: _hash(f"{field.name}={each}") for each in distinct}
        rows.append(value["row"].to_numpy())
        hashes.append(value["value"].replace_strict(code, return_dtype=pl.UInt32).to_numpy())
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    return Ragged(grouped_offsets(row, len(frame)), np.concatenate(hashes)[order]).padded()


def _hash(text: str) -> int:
    return 1 + zlib.crc32(text.encode()) % 0xFFFFFFFF


def _given_vectors(file: Path, frame: pl.DataFrame, name: str | None) -> np.ndarray:
    """`[rows, width]` float32; zeros where there is no vector."""
    if name is None:
        return np.zeros((len(frame), 0), np.float32)
    field = frame[name]
    if field.dtype != pl.List(pl.Float64):
        raise InputError(f"{file}: --data.vectors names {name!r}, which is no float_seq.")
    lengths = field.list.len().to_numpy()
    width = int(lengths.max(initial=0))
    if not np.isin(lengths, (0, width)).all():
        short = int(np.argmax((lengths > 0) & (lengths < width)))
        item = frame["item_id"][short]
        raise InputError(f"{file}: field {name!r} of item {item!r} has {lengths[short]} numbers, of others {width}.")
    vectors = np.zeros((len(field), width), np.float32)
    vectors[lengths > 0] = field.filter(lengths > 0).explode(empty_as_null=False).to_numpy().reshape(-1, width)
    return vectors
