"""What the files alone give away, in worlds where it is known."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys import atomic
from recsys.ablation.audit import audit
from recsys.data import SequenceData
from recsys.training.protocols import Questions

INTER = {
    "user_id": "token",
    "item_id": "token",
    "timestamp": "float",
    "request_id": "token",
    "split": "token",
}
REQUEST = {
    "request_id": "token",
    "user_id": "token",
    "timestamp": "float",
    "split": "token",
    "exposed": "token_seq",
    "clicked": "token_seq",
}
ITEMS, USERS, SHOWN = 400, 60, 10


def world(folder: Path, *, first: bool = False, lead: int = -5, block: bool = False) -> Path:
    """Three requests a user, in each one of ten exposed items clicked, `lead` seconds before the request.

    first: the clicked one is the first in the list. block: it is one of the items 100 to 149.
    """
    rng = np.random.default_rng(0)
    clicks, asked = [], []
    for user in range(USERS):
        for place, split in enumerate(("train", "valid", "test")):
            shown = rng.permutation(ITEMS - 50 if block else ITEMS)[:SHOWN]
            shown += 50 * (block & (shown >= 100))
            at = 0 if first else int(rng.integers(SHOWN))
            shown[at] = 100 + rng.integers(50) if block else shown[at]
            name, time = f"r{user}.{place}", 1000 * place + 100
            exposed = [str(item) for item in shown]
            asked.append((name, f"u{user}", time, split, exposed, [exposed[at]]))
            clicks.append((f"u{user}", exposed[at], time - lead, name, split))
    clicks += [("u0", str(item), 0, "w", "train") for item in range(ITEMS)]  # all are known
    types = {"inter": INTER, "request": REQUEST}
    for suffix, rows in {"inter": clicks, "request": asked}.items():
        frame = pl.DataFrame(rows, schema=list(types[suffix]), orient="row")
        atomic.write(frame, folder / "made" / f"made.{suffix}", types[suffix])
    return folder / "made"


def questions(folder: Path) -> Questions:
    data = SequenceData(str(folder))
    return Questions(data.dataset, data.histories("test"), "test", (10,))


def test_honest_data_gives_nothing_away(tmp_path: Path) -> None:
    folder = world(tmp_path)
    found = audit(folder, questions(folder))
    assert found.own_clicks == 0
    assert found.last_is_target < 0.05
    for name, area in found.orders.items():
        assert area.low < 0.5 < area.high, name
    assert set(found.orders) == {"order of the list", "number of the item", "clicks on like numbers"}


def test_clicks_before_their_request(tmp_path: Path) -> None:
    folder = world(tmp_path, lead=5)
    found = audit(folder, questions(folder))
    assert found.own_clicks == 3 * USERS
    assert found.last_is_target == 1
    assert found.earlier_is_target < 0.05


def test_the_order_of_a_list(tmp_path: Path) -> None:
    folder = world(tmp_path, first=True)
    orders = audit(folder, questions(folder)).orders
    assert orders["order of the list"].high < 0.01
    assert orders["number of the item"].low < 0.5 < orders["number of the item"].high


def test_items_that_are_numbered_by_what_became_of_them(tmp_path: Path) -> None:
    """A block in the middle: no order of the numbers tells it, their neighbourhood does."""
    folder = world(tmp_path, block=True)
    orders = audit(folder, questions(folder)).orders
    assert orders["clicks on like numbers"].low > 0.9


def test_a_much_clicked_item_tells_nothing_of_its_neighbours(tmp_path: Path) -> None:
    """Popularity is no leak: what is clicked again and again is left out of the judgement of itself."""
    folder = world(tmp_path)
    file = folder / "made.request"
    frame = atomic.read(file)
    hit = pl.lit("7")
    exposed = pl.concat_list(pl.col("exposed").list.set_difference(["7"]).list.head(SHOWN - 1), hit)
    atomic.write(frame.with_columns(exposed=exposed, clicked=pl.concat_list(hit)), file, REQUEST)
    orders = audit(folder, questions(folder)).orders
    assert orders["clicks on like numbers"].mean == pytest.approx(0.5, abs=0.15)


def test_ids_that_are_no_numbers_and_data_without_exposures(tmp_path: Path) -> None:
    folder = world(tmp_path)
    for suffix, types in {"inter": INTER, "request": REQUEST}.items():
        frame = atomic.read(folder / f"made.{suffix}")
        named = {
            name: pl.col(name).list.eval("x" + pl.element()) if kind == "token_seq" else "x" + pl.col(name)
            for name, kind in types.items()
            if name in ("item_id", "exposed", "clicked")
        }
        atomic.write(frame.with_columns(**named), folder / f"made.{suffix}", types)
    assert set(audit(folder, questions(folder)).orders) == {"order of the list"}
    (folder / "made.request").unlink()
    found = audit(folder, questions(folder))
    assert (found.own_clicks, found.orders) == (None, {})
