"""All read the same: one set of rows, written with whatever types and spellings a writer could choose."""

import decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qilin_tiny import rec, search, shown, tiny, write_config

from recsys.atomic.problems import Problems
from recsys.errors import InputError
from recsys.qilin.canonical import MALFORMED, canonical
from recsys.qilin.schema import CLOCKS, EXPOSURE_NEEDS, MINUS_ONE_IS_MISSING, NEEDS
from recsys.qilin.source import read

REC, SEARCH = "rec_result_details_with_idx", "search_result_details_with_idx"
CANONICAL = {"number": pl.Int64, "text": pl.String, "category": pl.String, "numbers": pl.List(pl.Int64)}

RANGES = {
    "click": (0, 3),
    "position": (-3, 60),
    "query_from_type": (1, 8),
    "note_type": (1, 2),
    "request_timestamp": (1_732_636_800_000, 1_732_723_200_000),
    "search_timestamp": (1_732_075_200, 1_732_752_000),
}
IDS = (0, 1_983_937)
NOTHING = ("", " ", "nan", "NaN", "None", "null")
STRINGS = {"string": pa.string(), "large": pa.large_string(), "view": pa.string_view()}
PHRASES = st.text("a9猫🥹\t\n\"' ", min_size=1, max_size=5).map(lambda text: text + "x")


def numbers(name: str) -> st.SearchStrategy[int | None]:
    known = st.integers(*RANGES.get(name, IDS))
    return known if name.endswith("_idx") else st.none() | known


def logical(name: str, kind: str) -> st.SearchStrategy[Any]:
    """What the column says, whatever the writer."""
    if kind == "number":
        return numbers(name)
    if kind == "text":
        return st.none() | PHRASES | st.sampled_from(["nan", "None", "-1"])
    if kind == "category":
        return st.none() | PHRASES
    if kind == "numbers":
        return st.lists(st.integers(*IDS), max_size=4)
    return st.lists(
        st.fixed_dictionaries({field: numbers(field) for field in EXPOSURE_NEEDS[name]}), min_size=1, max_size=4
    )


def written_texts(draw, values: list[str | None], nothing: tuple[str, ...], *, top: bool = False) -> pa.Array:
    spelt = [draw(st.sampled_from([None, *nothing])) if value is None else value for value in values]
    forms = ["string", "large", "dictionary"]
    forms += ["view"] if top else []  # pyarrow cannot cut lists of them into row groups
    forms += ["null"] if set(spelt) <= {None} else []
    form = draw(st.sampled_from(forms))
    if form == "null":
        return pa.nulls(len(spelt))
    if form == "dictionary":
        return pa.array(spelt, pa.string()).dictionary_encode()
    return pa.array(spelt, STRINGS[form])


def written_numbers(draw, name: str, values: list[int | None]) -> pa.Array:
    known = [value for value in values if value is not None]
    forms = ["int64", "double", "decimal", "text"]
    forms += ["int32"] if all(abs(value) < 2**31 for value in known) else []
    forms += ["uint32"] if all(0 <= value < 2**32 for value in known) else []
    forms += ["float"] if name not in CLOCKS and all(abs(value) < 2**24 for value in known) else []
    forms += ["bool"] if set(known) <= {0, 1} else []
    minus_one = name in MINUS_ONE_IS_MISSING
    form = draw(st.sampled_from(forms))
    if form == "text":
        spellings = ("{}", "{}.0", " {} ")
        texts = [None if value is None else draw(st.sampled_from(spellings)).format(value) for value in values]
        return written_texts(draw, texts, NOTHING + (("-1", "-1.0") if minus_one else ()))
    nothing: list[Any] = [None]
    nothing += [float("nan")] if form in ("double", "float") else []
    nothing += [-1] if minus_one and form not in ("bool", "uint32") else []
    filled = [draw(st.sampled_from(nothing)) if value is None else value for value in values]
    if not any(value is not None for value in filled) and draw(st.booleans()):
        return pa.nulls(len(filled))
    if form == "decimal":
        return pa.array([None if v is None else decimal.Decimal(v) for v in filled], pa.decimal128(18, 2))
    if form == "bool":
        return pa.array([None if v is None else bool(v) for v in filled])
    return pa.array(filled, {"double": pa.float64(), "float": pa.float32()}.get(form) or getattr(pa, form)())


def written_structs(draw, column: str, exposures: list[dict[str, int | None]]) -> pa.Array:
    fields = {name: written_numbers(draw, name, [e[name] for e in exposures]) for name in EXPOSURE_NEEDS[column]}
    extra = {"page_time": pa.array([float("nan")] * len(exposures)), "note_id": pa.array(["66f"] * len(exposures))}
    fields |= {name: extra[name] for name in draw(st.sets(st.sampled_from(sorted(extra))))}
    order = draw(st.permutations(sorted(fields)))
    return pa.StructArray.from_arrays([fields[name] for name in order], order)


def written_lists(draw, kind: str, column: str, values: list[list]) -> pa.Array:
    flat = [element for value in values for element in value]
    if not flat and draw(st.booleans()):
        return pa.nulls(len(values)) if draw(st.booleans()) else pa.array(values, pa.list_(pa.null()))
    elements = written_numbers(draw, column, flat) if kind == "numbers" else written_structs(draw, column, flat)
    lengths = [len(value) for value in values]
    if len(set(lengths)) == 1 and lengths[0] > 0 and draw(st.booleans()):
        return pa.FixedSizeListArray.from_arrays(elements, lengths[0])
    nulls = [length == 0 and draw(st.booleans()) for length in lengths]
    ends = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    large = draw(st.booleans())
    array, offset = (pa.LargeListArray, pa.int64()) if large else (pa.ListArray, pa.int32())
    return array.from_arrays(pa.array(ends, offset), elements, mask=pa.array(nulls))


def written(draw, name: str, kind: str, values: list) -> pa.Array:
    if kind == "number":
        return written_numbers(draw, name, values)
    if kind == "text":
        return written_texts(draw, values, ("", " "), top=True)
    if kind == "category":
        return written_texts(draw, values, (*NOTHING, "-1"), top=True)
    return written_lists(draw, kind, name, values)


@pytest.mark.parametrize("config", ["recommendation_train", "search_train", "notes", "user_feat"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_same_rows_read_the_same_whatever_wrote_them(config: str, data: st.DataObject, tmp_path: Path) -> None:
    needs = NEEDS[config]
    rows = data.draw(
        st.lists(st.fixed_dictionaries({n: logical(n, k) for n, k in needs.items()}), min_size=1, max_size=5)
    )
    columns = {name: written(data.draw, name, kind, [row[name] for row in rows]) for name, kind in needs.items()}
    columns |= {name: pa.array([[0.5]] * len(rows)) for name in data.draw(st.sets(st.sampled_from(["row", "file"])))}
    order = data.draw(st.permutations(sorted(columns)))
    path = tmp_path / "written.parquet"
    pq.write_table(
        pa.table({name: columns[name] for name in order}),
        path,
        row_group_size=data.draw(st.integers(1, 5)),
        use_dictionary=data.draw(st.booleans()),
        compression=data.draw(st.sampled_from(["none", "snappy", "zstd"])),
        data_page_version=data.draw(st.sampled_from(["1.0", "2.0"])),
        use_compliant_nested_type=data.draw(st.booleans()),  # the list's element is called "element", or else "item"
        store_schema=data.draw(st.booleans()),
    )
    details = {name: pl.List(pl.Struct(dict.fromkeys(EXPOSURE_NEEDS[name], pl.Int64))) for name in EXPOSURE_NEEDS}
    schema = {name: details.get(name) or CANONICAL[kind] for name, kind in needs.items()}
    expected = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        file=pl.lit(str(path)), row=pl.int_range(pl.len())
    )
    got = read(config, path, Problems())
    assert got.schema == expected.schema
    assert got.equals(expected)


@pytest.mark.parametrize("config", NEEDS)
def test_pyarrow_polars_and_pandas_write_the_same(config: str, tmp_path: Path) -> None:
    path = write_config(tmp_path, config, tiny()[config])
    expected = read(config, path, Problems())
    pl.read_parquet(path).write_parquet(path)
    assert read(config, path, Problems()).equals(expected)
    pq.read_table(path).to_pandas().to_parquet(path)
    assert read(config, path, Problems()).equals(expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7, None], [7, None]),
        ([7.0, float("nan"), None], [7, None, None]),
        ([7.5, float("inf"), 1e30], [MALFORMED] * 3),
        (["7", " 7 ", "7.0", "7e0", "0"], [7, 7, 7, 7, 0]),
        (["", " ", "nan", "NaN", "None", "NULL", None], [None] * 7),
        (["-1", "-1.0", "-12"], [-1, -1, -12]),
        (["seven", "7.5", "7,0", "inf"], [MALFORMED] * 4),
        (["9007199254740993"], [2**53 + 1]),  # a double would round it
        ([True, False, None], [1, 0, None]),
    ],
)
def test_numbers(values, expected):
    frame = pl.DataFrame({"user_idx": values}, strict=False)
    assert frame.select(canonical("user_idx", "number", frame.schema))["user_idx"].to_list() == expected


def test_integers_beyond_64_bits_are_malformed():
    frame = pl.DataFrame({"user_idx": [2**64 - 1, 1, None]}, schema={"user_idx": pl.UInt64})
    assert frame.select(canonical("user_idx", "number", frame.schema))["user_idx"].to_list() == [MALFORMED, 1, None]


@pytest.mark.parametrize("name", sorted(MINUS_ONE_IS_MISSING - {"click"}))
def test_minus_one_is_missing_where_the_release_means_it(name):
    for minus_one in (-1, -1.0, "-1", "-1.0"):
        frame = pl.DataFrame({name: [minus_one]})
        assert frame.select(canonical(name, "number", frame.schema))[name].to_list() == [None]


def test_a_person_may_write_nan_but_a_category_is_then_missing():
    frame = pl.DataFrame({"x": ["nan", "None", "-1", "", " \t", "unknown"]})
    assert frame.select(canonical("x", "text", frame.schema))["x"].to_list() == [
        *("nan", "None", "-1"),
        *(None, None),
        "unknown",
    ]
    assert frame.select(canonical("x", "category", frame.schema))["x"].to_list() == [None] * 5 + ["unknown"]


def test_a_time_in_fractions_of_a_second_is_cut(tmp_path):
    path = write_config(tmp_path, "search_train", [search(0, 0, "q", [shown(1, 5)])])
    field = pl.element().struct.with_fields(search_timestamp=pl.lit(1_732_475_484.9))
    pl.read_parquet(path).with_columns(pl.col(SEARCH).list.eval(field)).write_parquet(path)
    ((exposure,),) = read("search_train", path, Problems())[SEARCH].to_list()
    assert exposure["search_timestamp"] == 1_732_475_484


def test_a_time_in_single_precision_is_refused(tmp_path):
    # float32 holds seconds since 1970 to the nearest 128
    path = write_config(tmp_path, "recommendation_train", [rec(0, 0, [shown(1, 5)])])
    field = pl.element().struct.with_fields(request_timestamp=pl.element().struct["request_timestamp"].cast(pl.Float32))
    pl.read_parquet(path).with_columns(pl.col(REC).list.eval(field)).write_parquet(path)
    with pytest.raises(InputError, match=r"request_timestamp is Float32, too coarse for a time"):
        read("recommendation_train", path, Problems())
