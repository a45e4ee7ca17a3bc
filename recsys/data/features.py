"""The columns of a data set's `.item` file as numbers, for models that read what items are made of."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from recsys import atomic
from recsys.atomic import Vocabulary
from recsys.data.ragged import Ragged, offsets_of
from recsys.errors import InputError, did_you_mean


class ItemColumns(Mapping[str, np.ndarray]):
    """The values of each item by the name of their column, read when they are asked for, int32.

    `[items]` for a token column and `[items, values]` for a token_seq column, padding included. The distinct values are
    1, 2, … in the order in which the items of the vocabulary have them; 0 stands where there is none, and behind the
    last of an item.
    """

    def __init__(self, file: Path, vocabulary: Vocabulary) -> None:
        self.file, self.vocabulary = file, vocabulary

    def __iter__(self) -> Iterator[str]:
        """The columns that there are."""
        kinds = atomic.read_header(self.file).items()
        return (name for name, kind in kinds if name != "item_id" and kind in ("token", "token_seq"))

    def __len__(self) -> int:
        """Number of columns."""
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> np.ndarray:
        """The numbers of that column.

        Raises:
            InputError: no such file, no such column, a column of another type or without a single value.
        """
        if not self.file.is_file():
            raise InputError(f"{self.file}: no such file; the model reads the column {name!r} of it.")
        if name not in (columns := list(self)):
            raise InputError(f"{self.file}: no column {name!r} of tokens, for the model.{did_you_mean(name, columns)}")
        said = atomic.read(self.file, ["item_id", name]).unique("item_id", keep="first", maintain_order=True)
        items = pl.DataFrame({"item_id": list(self.vocabulary.tokens)}, schema={"item_id": pl.String})
        values = items.join(said, on="item_id", how="left", maintain_order="left")[name]
        several = values.dtype == pl.List
        values = values.fill_null([]) if several else values.fill_null("")
        each = values.explode(empty_as_null=False) if several else values
        distinct = each.filter(each != "").unique(maintain_order=True).to_list()
        if not distinct:
            raise InputError(f"{self.file}: the column {name!r} is empty for every item that is known.")
        number = Vocabulary(distinct).encode(each)
        if not several:
            return np.append(0, number).astype(np.int32)
        lengths = np.append(0, values.list.len().to_numpy()).astype(np.int64)
        return Ragged(offsets_of(lengths), number.astype(np.int32)).padded()
