"""The items that a model knows, by id and by words of their titles."""

import numpy as np
import polars as pl

from recsys.atomic import Vocabulary
from recsys.serving.schema import Item, Items


class Catalogue:
    """Ids, popularity and, where somebody gave them, titles."""

    def __init__(self, items: Vocabulary, popularity: np.ndarray, titles: pl.DataFrame | None = None) -> None:
        """Take the items in the order of their integers, and a frame of item_id and title for any of them."""
        frame = pl.DataFrame({"item_id": list(items.tokens), "popularity": popularity[1:].astype(np.int64)})
        if titles is None:
            self._frame = frame.with_columns(title=pl.lit(None, pl.String))
        else:
            once = titles.unique("item_id", keep="first")
            self._frame = frame.join(once, on="item_id", how="left", maintain_order="left")
        self._frame = self._frame.sort("popularity", descending=True, maintain_order=True)
        self._words = self._frame["title"].fill_null("").str.to_lowercase()
        titled = self._frame.filter(pl.col("title").is_not_null())
        self._titles = dict(zip(titled["item_id"], titled["title"], strict=True))
        self.titled = bool(self._titles)

    def title(self, item_id: str) -> str | None:
        """What an item is called; None where nobody knows."""
        return self._titles.get(item_id)

    def named(self, item_ids: list[str]) -> Items:
        """Those of the ids that the model knows, each once, in the order given."""
        wanted = pl.DataFrame({"item_id": pl.Series(item_ids, dtype=pl.String).unique(maintain_order=True)})
        return _items(wanted.join(self._frame, on="item_id", how="inner", maintain_order="left"), len(item_ids))

    def found(self, text: str, limit: int) -> Items:
        """The most popular items with that text in their title, in either case, or at the beginning of their id."""
        text = text.strip()
        hit = self._words.str.contains(text.lower(), literal=True) | self._frame["item_id"].str.starts_with(text)
        return _items(self._frame.filter(hit), limit)


def _items(frame: pl.DataFrame, limit: int) -> Items:
    rows = frame.head(limit).iter_rows(named=True)
    return Items(items=[Item(**row) for row in rows], total=len(frame))
