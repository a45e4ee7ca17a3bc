"""Atomic files are what RecBole reads and writes."""

import importlib.util
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys import atomic
from recsys.errors import InputError

TYPES = {"name": "token", "tags": "token_seq", "size": "float", "sizes": "float_seq"}
SCHEMA = {name: atomic.FIELD_TYPES[kind] for name, kind in TYPES.items()}

TOKEN = st.one_of(
    st.sampled_from(["", '"', 'say "x"', "'", "#", "null", "NA", "[PAD]", "猫 と 犬", "👩‍👩‍👧", " ", "a b", "1.0"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n"), max_size=6),
)
ELEMENT = st.one_of(
    st.sampled_from(['"', "猫", "👍🏽", "-1"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=4),
)
NUMBER = st.floats(allow_nan=False)
ROW = st.tuples(TOKEN, st.lists(ELEMENT, max_size=3), NUMBER, st.lists(NUMBER, max_size=3))


def file(tmp_path, text, name="x.inter"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, max_size=4))
def test_what_is_written_is_read(tmp_path, rows):
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    atomic.write(frame, tmp_path / "x.inter", TYPES)
    again = atomic.read(tmp_path / "x.inter")
    assert again.schema == frame.schema
    assert again.rows() == rows
    assert atomic.read_header(tmp_path / "x.inter") == TYPES


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TOKEN, max_size=4))
def test_a_single_column_keeps_its_empty_lines(tmp_path, tokens):
    atomic.write(pl.DataFrame({"name": tokens}, schema={"name": pl.String}), tmp_path / "x.item", {"name": "token"})
    assert atomic.read(tmp_path / "x.item")["name"].to_list() == tokens


def test_the_bytes_of_a_file(tmp_path):
    frame = pl.DataFrame([("u", ["a", "b"], 1.5, [1.0]), ("v", [], None, [])], schema=SCHEMA, orient="row")
    atomic.write(frame, tmp_path / "x.inter", TYPES)
    assert (tmp_path / "x.inter").read_bytes() == (
        b"name:token\ttags:token_seq\tsize:float\tsizes:float_seq\nu\ta b\t1.5\t1.0\nv\t\t\t\n"
    )


def test_large_integers_stand_in_float_fields_digit_by_digit(tmp_path):
    times = [1_732_636_835_999, 2**53, 0, -1]
    atomic.write(pl.DataFrame({"t": times}), tmp_path / "x.inter", {"t": "float"})
    assert (tmp_path / "x.inter").read_text().split() == ["t:float", *map(str, times)]
    assert atomic.read(tmp_path / "x.inter")["t"].to_list() == [float(time) for time in times]


def test_a_missing_number_is_null_and_a_missing_sequence_is_empty(tmp_path):
    path = file(tmp_path, "a:token\tb:float\tc:token_seq\td:float_seq\n\t\t\t\nx\n")
    assert atomic.read(path).rows() == [("", None, [], []), ("x", None, [], [])]


def test_columns_are_read_by_name_in_the_order_asked_for(tmp_path):
    path = file(tmp_path, "a:token\tb:float\tc:token\nx\t1\tz\n")
    assert atomic.read(path, ["c", "a"]).rows(named=True) == [{"c": "z", "a": "x"}]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a:token\tb:float\r\nx\t1\r\ny\t2\r\n", [("x", 1.0), ("y", 2.0)]),
        ("a:token\tb:float\nx\t1", [("x", 1.0)]),
        ("a:token\tb:float", []),
        ("﻿a:token\tb:float\nx\t1\n", [("x", 1.0)]),
    ],
    ids=["windows", "no newline at the end", "header only", "byte order mark"],
)
def test_files_of_other_programs(tmp_path, text, rows):
    assert atomic.read(file(tmp_path, text)).rows() == rows


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("", None, "header field ''"),
        ("user_id\titem_id:token\nu\ti\n", None, "header field 'user_id' is not 'name:type'"),
        ("user_id:int\nu\n", None, "type one of token, token_seq, float, float_seq"),
        (":token\nu\n", None, "header field ':token'"),
        ("a:token\ta:float\nx\t1\n", None, "names the field 'a' twice"),
        ("user_id:token\nu\n", ["userid"], r"no field 'userid'. Did you mean 'user_id'\?"),
        ("t:float\n1\n\nsoon\n", None, "line 4, field 't' holds 'soon', which is no number"),
        ("t:float_seq\n1 2\n3 x\n", None, "field 't' holds 'x', which is no number"),
        ("a:token\tb:float\nx\t1\t2\n", None, "not a tab-separated table of 2 fields"),
        ("caf\xe9:token\nx\n".encode("latin-1"), None, "not a text file in UTF-8"),
        ("name:token\ncaf\xe9\n".encode("latin-1"), None, "not a text file in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path, text, columns, message):
    path = file(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        atomic.read(path, columns)
    assert str(caught.value).startswith(f"{path}: ")


def test_bytes_that_are_not_utf_8_far_down_the_file(tmp_path):
    path = file(tmp_path, b"name:token\n" + b"x\n" * 50_000 + b"caf\xe9\n")
    with pytest.raises(InputError, match=r"x\.inter"):
        atomic.read(path)


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.inter: no such atomic file"):
        atomic.read(tmp_path / "nothing.inter")


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
@pytest.mark.parametrize("token", ["a\tb", "a\nb", "a\rb"])
def test_a_token_that_would_break_the_table_is_refused_and_nothing_is_written(tmp_path, token, dtype):
    with pytest.raises(InputError, match="'a' holds a tab or a line break"):
        atomic.write(pl.DataFrame({"a": ["b", token]}, schema={"a": dtype}), tmp_path / "x.inter", {"a": "token"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("values", [[1, None], ["a", None], [0.5, None], [True, None]])
@pytest.mark.parametrize("dtype", [None, pl.Categorical])
def test_what_is_missing_is_written_as_nothing(values, dtype):
    column = pl.Series("a", values) if dtype is None else pl.Series("a", values).cast(pl.String).cast(dtype)
    assert atomic.lines(pl.DataFrame({"a": column, "b": [1, 2]}), {"a": "token", "b": "float"}).endswith(b"\n\t2\n")


@pytest.mark.parametrize("element", ["a b", "a\tb", "a\nb"])
def test_an_element_that_would_become_two_is_refused(tmp_path, element):
    with pytest.raises(InputError, match="an element of 'a' holds white space"):
        atomic.write(pl.DataFrame({"a": [["x", element]]}), tmp_path / "x.inter", {"a": "token_seq"})


def test_recboles_own_data_set():
    package = Path(importlib.util.find_spec("recbole").submodule_search_locations[0])
    folder = package / "dataset_example" / "ml-100k"
    inter = atomic.read(folder / "ml-100k.inter")
    assert inter.shape == (100_000, 4)
    assert inter.row(0) == ("196", "242", 3.0, 881250949.0)
    assert (inter["user_id"].n_unique(), inter["item_id"].n_unique()) == (943, 1682)
    items = atomic.read(folder / "ml-100k.item")
    assert items.height == 1682
    assert items.filter(item_id="1")["class"].to_list() == [["Animation", "Children's", "Comedy"]]
    assert atomic.read(folder / "ml-100k.user", ["age", "user_id"]).row(0) == ("24", "1")
