"""What a table says of the items, as the fields of an `.item` file."""

import polars as pl

from recsys import atomic
from recsys.errors import InputError
from recsys.tables.options import Options
from recsys.tables.reading import Table, columns, read
from recsys.tables.values import identified, texts


def described(table: Table, options: Options, problems: atomic.Problems) -> tuple[pl.DataFrame, dict[str, str]]:
    """The items, each once, sorted, and the type of each field.

    Raises:
        InputError: a row without an id, or with one that another has; a column that no field can hold.
    """
    there = columns(table)
    own = options.called("item_id", *(["title"] if options.title in there else []))
    others = {name: name for name in there if name not in own.values()}
    frame = identified(read(table, "items", own | others | own), "item_id", options.item_id, problems)
    again = ~pl.col("item_id").is_first_distinct()
    frame = problems.rows(frame, again, "item twice", f"its {options.item_id} occurs before.").drop("file", "row")
    try:
        fields = {name: field(frame[name]) for name in frame.columns}
    except InputError as error:
        raise InputError(f"{'the items' if isinstance(table, pl.DataFrame) else table}: {error}") from error
    values = pl.DataFrame([values.alias(name) for name, (values, _) in fields.items()])
    return values.sort("item_id"), {name: kind for name, (_, kind) in fields.items()}


def field(values: pl.Series) -> tuple[pl.Series, str]:
    """The values as an atomic file holds them, and their type there.

    What is measured stays a number, what names or counts is a token; a list of either is a sequence.

    Raises:
        InputError: values of another kind; a name that no header can hold.
    """
    if not values.name or any(sign in values.name for sign in ":\t\r\n"):
        raise InputError(f"no field can be called {values.name!r}: rename the column.")
    if isinstance(values.dtype, (pl.List, pl.Array)):
        listed = values.cast(pl.List(values.dtype.inner)).fill_null([])
        if values.dtype.inner.is_float():
            return listed, "float_seq"
        each = listed.explode(empty_as_null=False)
        if _names(each.dtype):
            as_text = pl.element().cast(pl.String).str.replace_all(r'[\s"]+', "_")
            return listed.list.eval(as_text), "token_seq"
    elif values.dtype.is_float():
        return values.fill_nan(None), "float"
    elif _names(values.dtype) or values.dtype.is_temporal():
        return texts(values), "token"
    raise InputError(f"the column {values.name!r} holds {values.dtype}, which no field of an atomic file can.")


def _names(kind: pl.DataType) -> bool:
    return kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null)
