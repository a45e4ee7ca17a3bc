"""A file, a folder of files or a frame → the columns that are asked for, each row with where it came from."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import polars as pl

from recsys.errors import InputError, did_you_mean

Table = Path | pl.DataFrame

READERS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    # Nothing is guessed about a text: an id 007 stays one.
    ".csv": partial(pl.scan_csv, infer_schema=False),
    ".tsv": partial(pl.scan_csv, infer_schema=False, separator="\t"),
    ".jsonl": pl.scan_ndjson,
    ".parquet": pl.scan_parquet,
}


def columns(table: Table) -> list[str]:
    """What columns a table has.

    Raises:
        InputError: it cannot be read.
    """
    return _scan(table if isinstance(table, pl.DataFrame) else _files(table)[0]).collect_schema().names()


def read(table: Table, what: str, names: Mapping[str, str]) -> pl.DataFrame:
    """The columns `names`, which says what each is called in the table, behind `file` and `row` (from 0 within it).

    Args:
        table: a frame, a file, or a folder of files with the same columns.
        what: what it holds, which is what a frame is called where something is wrong with it.
        names: name here → name there.

    Raises:
        InputError: no such file, one of an unknown kind or that cannot be read, a column that is not there.
    """
    parts = [(what, table)] if isinstance(table, pl.DataFrame) else [(str(file), file) for file in _files(table)]
    found = [_part(name, part, names) for name, part in parts]
    try:
        return pl.concat(found, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{table}: the files have columns of different types ({_said(error)}).") from error


def _part(name: str, part: Table, names: Mapping[str, str]) -> pl.DataFrame:
    if clash := {"file", "row"} & names.keys():
        raise InputError(f"{name}: no field can be called {clash.pop()!r}: rename the column.")
    lazy = _scan(part)
    known = lazy.collect_schema().names()
    for wanted, called in names.items():
        if called not in known:
            hint = f" --{wanted} says what it is called." if wanted == called else ""
            raise InputError(f"{name}: no column {called!r}.{hint}{did_you_mean(called, known)}")
    chosen = lazy.select(**{wanted: pl.col(called) for wanted, called in names.items()})
    try:
        frame = chosen.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{name}: cannot be read ({_said(error)}).") from error
    return frame.with_row_index("row").select(pl.lit(name).alias("file"), "row", *names)


def _files(table: Path) -> list[Path]:
    if not table.exists():
        raise InputError(f"{table}: no such file or folder.")
    known = f"{', '.join(READERS)}, and .gz behind those of text"
    found = sorted(each for each in table.iterdir() if _kind(each) in READERS) if table.is_dir() else [table]
    if not found:
        raise InputError(f"{table}: a folder without a table ({known}).")
    if _kind(found[0]) not in READERS:
        raise InputError(f"{table}: its name does not say what it is ({known}).")
    return found


def _scan(part: Table) -> pl.LazyFrame:
    if isinstance(part, pl.DataFrame):
        return part.lazy()
    lazy = READERS[_kind(part)](part)
    try:
        lazy.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{part}: not a readable {_kind(part)} ({_said(error)}).") from error
    return lazy


def _kind(file: Path) -> str:
    return Path(file.name.lower().removesuffix(".gz")).suffix


def _said(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
