"""One type for each kind of column, whatever wrote the file: integers, doubles and texts that mean the same become one.

What is no integer where one belongs ("abc", 0.5) becomes `MALFORMED`, so that the reader can name its row.
"""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from recsys.errors import InputError, did_you_mean
from recsys.qilin.schema import CLOCKS, EXPOSURE_NEEDS, MINUS_ONE_IS_MISSING, Kind

MALFORMED = -(2**63)

# What writers make of a missing value: of any text, where a person cannot have meant it, and where -1 is no value.
_EMPTY = r"^\s*$"
_NOTHING = r"(?i)^\s*(nan|none|null|<na>)?\s*$"
_NOTHING_OR_MINUS_ONE = r"(?i)^\s*(nan|none|null|<na>|-1)?\s*$"

_EXPECTED: dict[Kind, str] = {
    "number": "integer or double",
    "text": "string",
    "category": "string",
    "numbers": "list of integers",
    "exposures": "list of structs",
}


def canonical(name: str, kind: Kind, schema: Mapping[str, Any]) -> pl.Expr:
    """Column `name` of a file of that schema as int64, string, list of int64 or list of structs of int64.

    Missing values are null, a missing window is an empty one. Of an exposure, only the needed fields are kept.

    Raises:
        InputError: the column, or a field of its structs, is missing or of another kind.
    """
    if name not in schema:
        raise InputError(f"no column {name!r}.{did_you_mean(name, schema)}")
    dtype = schema[name]
    column = pl.lit(None) if dtype == pl.Null else pl.col(name)
    if not fits(dtype, kind):
        raise InputError(f"column {name!r} is {dtype}; it should be {_EXPECTED[kind]}.")
    if kind == "number":
        value = _number(name, column, dtype)
    elif kind in ("text", "category"):
        value = _text(column, _NOTHING_OR_MINUS_ONE if kind == "category" else _EMPTY)
    elif kind == "numbers":
        ids = _each(column, dtype, lambda element, inner: _number(name, element, inner))
        value = ids.list.drop_nulls().fill_null([])
    else:
        value = _each(column, dtype, lambda element, inner: pl.struct(_exposure(name, element, inner)))
    return value.alias(name)


def fits(dtype: Any, kind: Kind) -> bool:
    """Whether a column of this type can be read as one of that kind; one without a value (Null) as any."""
    if dtype == pl.Null:
        return True
    if kind == "number":
        return bool(dtype.is_numeric() or dtype == pl.Boolean or fits(dtype, "text"))
    if kind in ("text", "category"):
        return dtype in (pl.String, pl.Categorical, pl.Enum)
    if dtype not in (pl.List, pl.Array):
        return False
    return dtype.inner in (pl.Struct, pl.Null) if kind == "exposures" else fits(dtype.inner, "number")


def _each(column: pl.Expr, dtype: Any, change: Callable[[pl.Expr, Any], pl.Expr]) -> pl.Expr:
    """`change(element, its type)` of every element, whether the list is null, of fixed or of any length."""
    if dtype == pl.Null:
        return column.cast(pl.List(pl.Null)).list.eval(change(pl.element(), pl.Null()))
    lists = column.arr.to_list() if dtype == pl.Array else column
    return lists.list.eval(change(pl.element(), dtype.inner))


def _exposure(column: str, exposure: pl.Expr, dtype: Any) -> list[pl.Expr]:
    needs = EXPOSURE_NEEDS[column]
    if dtype == pl.Null:
        return [exposure.cast(pl.Int64).alias(name) for name in needs]
    fields = {field.name: field.dtype for field in dtype.fields}
    for name in needs:
        if name not in fields:
            raise InputError(f"the structs of column {column!r} have no {name!r}.{did_you_mean(name, fields)}")
        if not fits(fields[name], "number"):
            raise InputError(f"{column}.{name} is {fields[name]}; it should be {_EXPECTED['number']}.")
        if name in CLOCKS and fields[name] in (pl.Float32, pl.Float16):
            raise InputError(
                f"{column}.{name} is {fields[name]}, too coarse for a time; it should be integer or double."
            )
    return [_number(name, exposure.struct[name], fields[name]).alias(name) for name in needs]


def _number(name: str, value: pl.Expr, dtype: Any) -> pl.Expr:
    number = _integer(value, dtype, floor=name in CLOCKS)
    return pl.when(number != -1).then(number) if name in MINUS_ONE_IS_MISSING else number


def _integer(value: pl.Expr, dtype: Any, *, floor: bool) -> pl.Expr:
    if dtype == pl.Int64:
        return value
    if dtype.is_float() or dtype.is_decimal():
        return _from_double(value.cast(pl.Float64), floor=floor)
    if fits(dtype, "text"):
        text = _text(value, _NOTHING).str.strip_chars()
        exact = text.cast(pl.Int64, strict=False)  # a double would round what is beyond 2**53
        number = pl.coalesce(exact, _from_double(text.cast(pl.Float64, strict=False), floor=floor), pl.lit(MALFORMED))
        return pl.when(text.is_not_null()).then(number)
    number = value.cast(pl.Int64, strict=False)
    return pl.when(value.is_not_null()).then(number.fill_null(MALFORMED))


def _from_double(value: pl.Expr, *, floor: bool) -> pl.Expr:
    number = (value.floor() if floor else value).cast(pl.Int64, strict=False)
    whole = value.is_finite() if floor else number.cast(pl.Float64) == value
    return pl.when(value.is_not_nan()).then(pl.when(whole & number.is_not_null()).then(number).otherwise(MALFORMED))


def _text(value: pl.Expr, nothing: str) -> pl.Expr:
    text = value.cast(pl.String)
    return pl.when(~text.str.contains(nothing)).then(text)
