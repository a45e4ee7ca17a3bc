"""Read and write one atomic file (https://recbole.io/docs/user_guide/data/atomic_files.html)."""

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO

import polars as pl

from recsys.errors import InputError, did_you_mean
from recsys.files import atomic_file

FIELD_TYPES: dict[str, pl.DataType] = {
    "token": pl.String(),
    "token_seq": pl.List(pl.String()),
    "float": pl.Float64(),
    "float_seq": pl.List(pl.Float64()),
}


def read_header(path: Path) -> dict[str, str]:
    """Field name → type ("token", "token_seq", "float", "float_seq") from the first line of `path`.

    Raises:
        InputError: no such file, or a header that is not `name:type` separated by tabs.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such atomic file.")
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = file.readline().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8 ({error}).") from error
    header: dict[str, str] = {}
    for part in line.split("\t"):
        name, _, kind = part.partition(":")
        if not name or kind not in FIELD_TYPES:
            raise InputError(
                f"{path}: header field {part!r} is not 'name:type' with type one of {', '.join(FIELD_TYPES)}."
            )
        if name in header:
            raise InputError(f"{path}: the header names the field {name!r} twice.")
        header[name] = kind
    return header


def read(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read `columns` (all when None) in the types of the header; an empty sequence field is an empty list.

    Raises:
        InputError: missing file or column, malformed header, a number that is none.
    """
    header = read_header(path)
    wanted = list(header) if columns is None else list(columns)
    for name in wanted:
        if name not in header:
            raise InputError(f"{path}: no field {name!r}.{did_you_mean(name, header)}")
    fields = {f"{name}:{header[name]}": name for name in wanted}
    try:
        frame = pl.read_csv(
            path,
            separator="\t",
            quote_char=None,
            columns=list(fields),
            schema_overrides=dict.fromkeys(fields, pl.String),
        )
    except pl.exceptions.ComputeError as error:
        raise InputError(f"{path}: not a tab-separated table of {len(header)} fields ({error}).") from error
    frame = frame.rename(fields).with_columns(pl.all().fill_null(""))
    return frame.select(_typed(path, frame, name, header[name]) for name in wanted)


def write(frames: pl.DataFrame | Iterable[pl.DataFrame], path: Path, types: Mapping[str, str]) -> None:
    """Write the columns named in `types`, in that order, as an atomic file; several frames come one after another.

    Integers may stand in float fields, and in sequence fields texts whose elements are separated by spaces already.

    Raises:
        InputError: a token holding a tab or line break, or a sequence element holding a space.
    """
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        file.write(header(types))
        for frame in [frames] if isinstance(frames, pl.DataFrame) else frames:
            try:
                _add(frame, types, file)
            except InputError as error:
                raise InputError(f"{path}: {error}") from error


def header(types: Mapping[str, str]) -> bytes:
    """The first line of an atomic file."""
    return ("\t".join(f"{name}:{kind}" for name, kind in types.items()) + "\n").encode()


def lines(frame: pl.DataFrame, types: Mapping[str, str]) -> bytes:
    """The columns named in `types`, in that order, as lines of an atomic file; see `write`.

    Raises:
        InputError: a token holding a tab or line break, or a sequence element holding a space.
    """
    buffer = BytesIO()
    _add(frame, types, buffer)
    return buffer.getvalue()


def _add(frame: pl.DataFrame, types: Mapping[str, str], file: IO[bytes]) -> None:
    columns = pl.DataFrame([_text(frame[name]) for name in types])
    columns.write_csv(file, include_header=False, separator="\t", quote_style="never")


def _typed(path: Path, frame: pl.DataFrame, name: str, kind: str) -> pl.Series:
    text = frame[name]
    if kind == "token":
        return text
    if kind == "token_seq":
        return _split(text)
    numbers = text if kind == "float" else _split(text).explode(empty_as_null=False)
    parsed = numbers.cast(pl.Float64, strict=False)
    wrong = parsed.is_null() & (numbers != "")
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        where = f"line {row + 2}, " if kind == "float" else ""
        raise InputError(f"{path}: {where}field {name!r} holds {numbers[row]!r}, which is no number.")
    return parsed if kind == "float" else _split(text).list.eval(pl.element().cast(pl.Float64))


def _split(text: pl.Series) -> pl.Series:
    return text.str.split(" ").list.eval(pl.element().filter(pl.element() != ""))


def _text(series: pl.Series) -> pl.Series:
    if isinstance(series.dtype, pl.List):
        if series.dtype.inner == pl.String and series.explode(empty_as_null=False).str.contains(r"\s").any():
            raise InputError(f"an element of {series.name!r} holds white space, which separates elements.")
        return series.cast(pl.List(pl.String)).list.join(" ", ignore_nulls=True).fill_null("")
    if series.dtype.is_integer():
        return series
    if series.dtype in (pl.String, pl.Categorical):
        distinct = series.unique().cast(pl.String) if series.dtype == pl.Categorical else series
        if distinct.str.contains(r"[\t\r\n]").any():
            raise InputError(f"a value of {series.name!r} holds a tab or a line break.")
        return series
    return series.cast(pl.String)
