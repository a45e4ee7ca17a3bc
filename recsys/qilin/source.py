"""Find Qilin's parquet files below a folder and read the needed columns, in one canonical type each."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from recsys.atomic.problems import Problems
from recsys.errors import InputError, did_you_mean
from recsys.qilin.canonical import MALFORMED, canonical, fits
from recsys.qilin.schema import EXPOSURE_NEEDS, KEYS, NEEDS, OPTIONAL, WINDOW, Kind

PIECE = 100_000  # notes in memory at once

_ROW = "row number in the file"  # until all columns are chosen: a file may have a column `row` of its own


def locate(root: Path) -> dict[str, list[Path]]:
    """Configuration → its parquet files, from `root/<config>/` or `root/data/<config>/`; absent optional ones left out.

    Raises:
        InputError: no such folder, or no parquet file of a required configuration.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; it should hold Qilin's configurations ({', '.join(NEEDS)}).")
    found = {config: _shards(root, config) for config in NEEDS}
    for config, files in found.items():
        if not files and config not in OPTIONAL:
            present = [path.name for base in (root, root / "data") if base.is_dir() for path in base.iterdir()]
            hint = did_you_mean(config, present) if present else " The folder is empty."
            optional = " and ".join(sorted(OPTIONAL))
            raise InputError(
                f"{root}: no parquet file in {config}/ or data/{config}/ (only {optional} are optional).{hint}"
            )
    return {config: files for config, files in found.items() if files}


def read(config: str, path: Path, problems: Problems) -> pl.DataFrame:
    """The columns of `NEEDS[config]` of one file, `file` (the path as given) and `row` (from 0 within the file).

    Numbers are int64, texts string, windows list of int64, exposures list of structs of int64; what is missing is null.

    Args:
        config: name of the configuration.
        path: the parquet file.
        problems: told of every row without an id or exposures, or with a number that cannot be.

    Raises:
        InputError: a row has a problem that is not to be skipped. Or, even then, the file is unreadable, or a column
            is missing or of another kind: that is not one bad row among good ones but a damaged or foreign file, and
            to go on without it would silently leave out an unknown part of the data.
    """
    rows = _chosen(path, NEEDS[config])
    with readable(path):
        frame = rows.collect(engine="streaming")
    return _sound(frame, config, problems)


def notes(path: Path, problems: Problems) -> Iterator[pl.DataFrame]:
    """The rows of one file of notes as by `read`, in pieces of at most `PIECE`; no rows are one empty piece.

    Raises:
        InputError: as by `read`.
    """
    rows = _chosen(path, NEEDS["notes"])
    with readable(path):
        height = pl.scan_parquet(path, glob=False, hive_partitioning=False).select(pl.len()).collect().item()
    for start in range(0, max(height, 1), PIECE):
        with readable(path):
            frame = rows.slice(start, PIECE).collect(engine="streaming")
        yield _sound(frame, "notes", problems)


def numbers(path: Path, name: str) -> pl.DataFrame:
    """One column of numbers of a file, as int64, with `file` and `row`; null where there is none.

    Raises:
        InputError: the file is unreadable, or the column is missing or of another kind.
    """
    rows = _chosen(path, {name: "number"})
    with readable(path):
        return rows.collect()


def largest(numbers: pl.Series) -> int:
    """The largest of the numbers, or 0 if there is none above it."""
    return max(int(numbers.max() or 0), 0)  # type: ignore[arg-type]


def _shards(root: Path, config: str) -> list[Path]:
    for folder in (root / config, root / "data" / config):
        if files := sorted(path for path in folder.glob("*.parquet") if not path.name.startswith(".")):
            return files
    return []


def _chosen(path: Path, needs: Mapping[str, Kind]) -> pl.LazyFrame:
    with readable(path):
        rows = pl.scan_parquet(path, glob=False, hive_partitioning=False, row_index_name=_ROW)
        schema = _schema(rows, needs)
        try:
            columns = [canonical(name, kind, schema) for name, kind in needs.items()]
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    return rows.select(*columns, file=pl.lit(str(path)), row=pl.col(_ROW).cast(pl.Int64))


def _schema(rows: pl.LazyFrame, needs: Mapping[str, Kind]) -> dict[str, Any]:
    """The file's schema, with Null for a column without a single value: some writers give it any type, say int32."""
    schema = dict(rows.collect_schema())
    for name, kind in needs.items():
        if name in schema and not fits(schema[name], kind):
            values = pl.col(name).explode() if schema[name] in (pl.List, pl.Array) else pl.col(name)
            if rows.select(values.count()).collect().item() == 0:
                schema[name] = pl.Null()
    return schema


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say of a file that cannot be read that it is damaged.

    Raises:
        InputError: it is.
    """
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: not a complete parquet file ({reason}); download it again.") from error


def _sound(frame: pl.DataFrame, config: str, problems: Problems) -> pl.DataFrame:
    needs = NEEDS[config]
    for name in sorted(needs):
        value = pl.col(name)
        if name in KEYS:
            frame = problems.rows(frame, value.is_null(), "no id", f"has no {name!r}; every row needs it.")
            frame = problems.rows(frame, value < 0, "no valid id", _no_id(name))
        elif name == WINDOW:
            frame = problems.rows(frame, value.list.min() < 0, "no valid id", _no_id(name))
        elif needs[name] == "number":
            frame = problems.rows(frame, value == MALFORMED, "not a number", f"its {name!r} is no whole number.")
        elif needs[name] == "exposures":
            frame = _sound_exposures(frame, name, problems)
    return frame


def _sound_exposures(frame: pl.DataFrame, column: str, problems: Problems) -> pl.DataFrame:
    none = pl.col(column).list.len().fill_null(0) == 0
    frame = problems.rows(frame, none, "no exposures", f"{column!r} is empty; every row shows at least one note.")
    for field in EXPOSURE_NEEDS[column]:
        name, value = f"{column}.{field}", pl.element().struct[field]
        if field in KEYS:
            frame = problems.rows(frame, _any(column, value.is_null()), "no id", f"an exposure has no {name!r}.")
            frame = problems.rows(frame, _any(column, value < 0), "no valid id", _no_id(name))
        elif field == "click":
            sentence = f"a {name!r} is neither 0, a positive whole number, nor missing (null, NaN, -1)."
            frame = problems.rows(frame, _any(column, value < 0), "no valid click", sentence)
        else:
            sentence = f"a {name!r} is no whole number."
            frame = problems.rows(frame, _any(column, value == MALFORMED), "not a number", sentence)
    return frame


def _any(column: str, bad: pl.Expr) -> pl.Expr:
    return pl.col(column).list.eval(bad).list.any()


def _no_id(name: str) -> str:
    return f"{name!r} is no id: ids are whole numbers from 0."
