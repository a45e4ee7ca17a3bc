"""Find Qilin's parquet files below a folder and read the needed columns, in one canonical type each."""

from pathlib import Path
from typing import Any

import polars as pl

from recsys.errors import InputError, did_you_mean
from recsys.qilin.schema import EXPOSURE_NEEDS, KEYS, NEEDS, OPTIONAL, Kind

_EXPECTED: dict[Kind, str] = {
    "number": "integer or double",
    "text": "string",
    "numbers": "list of integers",
    "exposures": "list of structs",
}


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
            raise InputError(f"{root}: no parquet file in {config}/ or data/{config}/.{hint}")
    return {config: files for config, files in found.items() if files}


def read(config, path, problems, users=None) -> pl.DataFrame:
    frame = (
        _read_file(path, config)
        .with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64), file=pl.lit(str(path)))
    )
    if users is not None:
        frame = frame.filter(pl.col("user_idx").is_between(users[0], users[1], closed="left"))
    return frame


def numbers(path: Path, name: str) -> pl.DataFrame:
    return (
        pl.read_parquet(path, columns=[name])
        .select(pl.col(name).cast(pl.Int64))
        .with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
    )


def notes(path, problems):
    yield _read_file(path, "notes")


def _shards(root: Path, config: str) -> list[Path]:
    for folder in (root / config, root / "data" / config):
        if files := sorted(folder.glob("*.parquet")):
            return files
    return []


def _read_file(path: Path, config: str) -> pl.DataFrame:
    needs = NEEDS[config]
    try:
        schema = pl.read_parquet_schema(path)
        for name, kind in needs.items():
            _check(path, name, kind, schema)
        frame = pl.read_parquet(path, columns=list(needs), hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: not a complete parquet file ({reason}); download it again.") from error
    frame = frame.select(_canonical(name, kind) for name, kind in needs.items())
    for name in sorted(KEYS & needs.keys()):
        _check_filled(path, name, frame[name])
    for name in sorted(EXPOSURE_NEEDS.keys() & needs.keys()):
        _check_filled(path, f"{name}.note_idx", frame[name].list.eval(pl.element().struct["note_idx"]))
    return frame


def _check(path: Path, name: str, kind: Kind, schema: dict[str, pl.DataType]) -> None:
    if name not in schema:
        raise InputError(f"{path}: no column {name!r}.{did_you_mean(name, schema)}")
    dtype = schema[name]
    if not _is(dtype, kind):
        raise InputError(f"{path}: column {name!r} is {dtype}; it should be {_EXPECTED[kind]}.")
    if kind == "exposures" and isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct):
        fields = {field.name: field.dtype for field in dtype.inner.fields}
        for field in EXPOSURE_NEEDS[name]:
            if field not in fields:
                raise InputError(
                    f"{path}: the structs of column {name!r} have no {field!r}.{did_you_mean(field, fields)}"
                )
            if not _is(fields[field], "number"):
                found = fields[field]
                raise InputError(f"{path}: {name}.{field} is {found}; it should be {_EXPECTED['number']}.")


def _is(dtype: Any, kind: Kind) -> bool:
    if isinstance(dtype, pl.Null):  # a shard in which every value is missing
        return kind in ("number", "text")
    if kind == "number":
        return bool(dtype.is_numeric())
    if kind == "text":
        return isinstance(dtype, pl.String)
    if not isinstance(dtype, pl.List):
        return False
    return isinstance(dtype.inner, pl.Struct) if kind == "exposures" else _is(dtype.inner, "number")


def _canonical(name: str, kind: Kind) -> pl.Expr:
    column = pl.col(name)
    if kind == "number":
        return _integer(column)
    if kind == "text":
        return column.cast(pl.String)
    if kind == "numbers":
        return column.list.eval(_integer(pl.element())).list.drop_nulls().fill_null([])
    fields = [_integer(pl.element().struct[field]).alias(field) for field in EXPOSURE_NEEDS[name]]
    return column.list.eval(pl.struct(fields)).fill_null([])


def _integer(number: pl.Expr) -> pl.Expr:
    return number.cast(pl.Int64, strict=False)  # not strict: NaN, which the release writes for "none", becomes null


def _check_filled(path: Path, name: str, values: pl.Series) -> None:
    empty = values.list.eval(pl.element().is_null().any()).list.first() if values.dtype == pl.List else values.is_null()
    if empty.any():
        raise InputError(f"{path}: row {empty.arg_max()} has no {name!r} (rows count from 0); every row needs it.")
