"""What a table says of the items, as fields that models and RecBole read."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys import atomic
from recsys.data import load
from recsys.data.items import read_content
from recsys.errors import InputError

ITEMS = pl.DataFrame(
    {
        "item_id": ["0200", "0017"],
        "title": ['Shoes,\n"red"', None],
        "brand": ["Foot", "Rain & Co"],
        "shelf": [3, 12],
        "price": [59.9, float("nan")],
        "since": [date(2024, 1, 2), None],
        "tags": [["red", "for feet"], []],
        "vector": [[0.5, -1.0], [0.0, 2.0]],
    }
)


def test_texts_numbers_lists_and_vectors(shop) -> None:
    folder = shop(items=ITEMS)
    assert (folder / "shop.item").read_text("utf-8").splitlines() == [
        "item_id:token\ttitle:token\tbrand:token\tshelf:token\tprice:float\tsince:token\ttags:token_seq\tvector:float_seq",
        "0017\t\tRain & Co\t12\t\t\t\t0.0 2.0",
        "0200\tShoes, 'red'\tFoot\t3\t59.9\t2024-01-02\tred for_feet\t0.5 -1.0",
    ]


def test_the_models_read_them(shop) -> None:
    folder = shop(items=ITEMS)
    items = load(folder, ("train", "valid", "test")).items
    content = read_content(folder, items, ["brand"], "vector")
    (shoes,) = items.encode(["0200"])
    assert content.vector[shoes].tolist() == [0.5, -1.0]
    assert (np.asarray(content.gram[shoes]) > 0).any()
    titles = atomic.read_titles(folder / "shop.item")
    assert titles.filter(item_id="0200")["title"].to_list() == ["Shoes, 'red'"]


def test_a_title_by_another_name(shop) -> None:
    folder = shop(items=ITEMS.select("item_id", name="title", title="brand"), title="name")
    header = atomic.read_header(folder / "shop.item")
    assert list(header) == ["item_id", "title"]
    assert atomic.read(folder / "shop.item")["title"].to_list() == ["", "Shoes, 'red'"]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (pl.concat([ITEMS, ITEMS.head(1)]), "items: row 2 (from 0): its item_id occurs before."),
        (ITEMS.with_columns(item_id=pl.lit(None, pl.String)), "items: row 0 (from 0): its item_id is empty"),
        (ITEMS.with_columns(box=pl.struct("brand")), "the items: the column 'box' holds Struct"),
        (ITEMS.rename({"brand": "brand:token"}), "the items: no field can be called 'brand:token': rename the column."),
        (ITEMS.rename({"brand": "row"}), "items: no field can be called 'row': rename the column."),
    ],
)
def test_what_cannot_be_described_is_said(shop, tmp_path: Path, items: pl.DataFrame, said: str) -> None:
    with pytest.raises(InputError) as error:
        shop(items=items)
    assert str(error.value).startswith(said)
    assert list(tmp_path.iterdir()) == []
