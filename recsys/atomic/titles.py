"""The titles that an `.item` file gives its items."""

from pathlib import Path

import polars as pl

from recsys.atomic.files import read, read_header
from recsys.errors import InputError


def read_titles(path: Path) -> pl.DataFrame:
    """Columns item_id and title, from the field whose name ends in "title".

    Raises:
        InputError: no such file or field.
    """
    header = read_header(path)
    field = next((name for name in header if name.endswith("title")), None)
    if field is None:
        raise InputError(f"{path}: no field whose name ends in 'title'.")
    frame = read(path, ["item_id", field])
    if header[field].endswith("_seq"):  # our converter separates characters, RecBole's data sets words
        frame = frame.with_columns(pl.col(field).cast(pl.List(pl.String)).list.join("" if field == "title" else " "))
    return frame.select("item_id", title=pl.col(field).cast(pl.String))
