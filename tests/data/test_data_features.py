"""Columns of the items as numbers, in the order of the vocabulary."""

import polars as pl
import pytest

from recsys import atomic
from recsys.atomic import Vocabulary
from recsys.data import SequenceData
from recsys.data.features import ItemColumns
from recsys.errors import InputError

TYPES = {"item_id": "token", "kind": "token_seq", "year": "token", "weight": "float", "nothing": "token"}
ROWS = [
    ("c", ["red", "old"], "1990", 1.0, ""),
    ("a", ["old"], "", 2.0, ""),
    ("stranger", ["new"], "2020", 3.0, "x"),
    ("b", [], "1990", 4.0, ""),
    ("a", ["late"], "1991", 5.0, ""),
]


@pytest.fixture
def columns(tmp_path):
    file = tmp_path / "tiny" / "tiny.item"
    schema = {name: atomic.FIELD_TYPES[kind] for name, kind in TYPES.items()}
    atomic.write(pl.DataFrame(ROWS, schema=schema, orient="row"), file, TYPES)
    return ItemColumns(file, Vocabulary(["a", "b", "c", "unheard"]))


def test_several_values_of_an_item_lie_side_by_side(columns):
    """old is 1, red 2. Row 0 is padding; b has none and the last item is in no line; of two lines the first counts."""
    assert columns["kind"].tolist() == [[0, 0], [1, 0], [0, 0], [2, 1], [0, 0]]


def test_one_value_of_an_item_is_a_number(columns):
    assert columns["year"].tolist() == [0, 0, 1, 1, 0]
    assert columns["year"].dtype == "int32"


def test_columns_of_tokens_are_there_to_choose_from(columns):
    assert list(columns) == ["kind", "year", "nothing"]
    assert len(columns) == 3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("kinds", "no column 'kinds' of tokens, for the model. Did you mean 'kind'?"),
        ("weight", "no column 'weight' of tokens, for the model. Known: kind, nothing, year."),
        ("nothing", "the column 'nothing' is empty for every item that is known"),
    ],
)
def test_what_is_no_feature_is_refused(columns, name, sentence):
    with pytest.raises(InputError) as refused:
        columns[name]
    assert sentence in str(refused.value)
    assert "tiny.item" in str(refused.value)


def test_a_data_set_without_a_file_of_items(generic):
    data = SequenceData(str(generic([("u", item, time) for time, item in enumerate("abcd")])))
    with pytest.raises(InputError, match=r"plain\.item: no such file; the model reads the column 'kind' of it"):
        data.item_columns["kind"]
