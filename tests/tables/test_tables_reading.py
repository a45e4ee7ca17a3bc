"""Every kind of table gives the same rows, and a bad file or row is named."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from recsys import tables
from recsys.errors import InputError

from .conftest import CLICKS, lines


def write(frame: pl.DataFrame, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    match plain.suffix.lower():
        case ".csv":
            frame.write_csv(plain)
        case ".tsv":
            frame.write_csv(plain, separator="\t")
        case ".jsonl":
            frame.write_ndjson(plain)
        case ".parquet":
            frame.write_parquet(plain)
    if plain != path:
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return path


@pytest.mark.parametrize("name", ["c.csv", "c.tsv", "c.jsonl", "c.parquet", "c.csv.gz", "c.jsonl.gz", "C.CSV"])
def test_every_kind_of_file(shop, tmp_path: Path, name: str) -> None:
    assert lines(shop(write(CLICKS, tmp_path / name)), "inter") == lines(shop(name="frame"), "inter")


def test_a_folder_of_files_and_what_lies_beside_them(shop, tmp_path: Path) -> None:
    write(CLICKS.head(2), tmp_path / "log" / "part-0.parquet")
    write(CLICKS.slice(2), tmp_path / "log" / "part-1.parquet")
    (tmp_path / "log" / "_SUCCESS").touch()
    assert lines(shop(tmp_path / "log"), "inter") == lines(shop(name="frame"), "inter")


def test_ids_are_not_guessed_about(shop) -> None:
    clicks = CLICKS.with_columns(user_id=pl.Series([1, 2, 1, 1, 2]), item_id=pl.Series([17.0, 200, 200, 31, 17]))
    assert lines(shop(clicks), "inter")[0] == "1\t17\t3600\ttrain"
    categorical = CLICKS.with_columns(pl.col("item_id").cast(pl.Categorical))
    assert lines(shop(categorical, name="categorical"), "inter")[0] == "ann\t0017\t3600\ttrain"


def test_columns_by_other_names(shop) -> None:
    clicks = CLICKS.rename({"user_id": "customer", "item_id": "sku", "timestamp": "at"}).with_columns(row=1, file=2)
    folder = shop(clicks, user_id="customer", item_id="sku", timestamp="at")
    assert lines(folder, "inter")[0] == "ann\t0017\t3600\ttrain"


BAD = CLICKS.with_columns(pl.col("timestamp").cast(pl.String))


@pytest.mark.parametrize(
    ("row", "reason", "said"),
    [
        (("", "a", "1"), "no user_id", "its user_id is empty, or neither a text nor a whole number."),
        (("u", None, "1"), "no item_id", "its item_id is empty, or neither a text nor a whole number."),
        (("u", "a b", "1"), "unfit item_id", "its item_id holds white space or a double quote, which"),
        (("u\tv", "a", "1"), "unfit user_id", "its user_id holds a tab, a line break or a double quote, which"),
        (("u", "a", None), "no time", "its timestamp is no time: a number (of --time_unit), or like 2024-11-27 "),
    ],
)
def test_a_bad_row_is_refused_or_left_out_and_counted(shop, tmp_path: Path, row, reason: str, said: str) -> None:
    bad = pl.DataFrame([row], schema=BAD.schema, orient="row")
    clicks = pl.concat([BAD.head(1), bad, BAD.slice(1)])
    with pytest.raises(InputError) as error:
        shop(clicks)
    assert str(error.value).startswith(f"clicks: row 1 (from 0): {said}")
    assert "`--on-error skip` leaves such rows out and counts them (1 here)." in str(error.value)
    assert list(tmp_path.iterdir()) == []
    folder = shop(clicks, on_error="skip")
    assert lines(folder, "inter") == lines(shop(name="frame"), "inter")
    assert f'"{reason}": 1' in (folder / "shop.meta.json").read_text("utf-8")


def test_a_bad_row_of_a_file_is_counted_within_it(shop, tmp_path: Path) -> None:
    write(CLICKS, tmp_path / "log" / "a.csv")
    file = write(CLICKS.with_columns(item_id=pl.Series(["a", "b", "", "d", "e"])), tmp_path / "log" / "b.csv")
    with pytest.raises(InputError, match="row 2") as error:
        shop(tmp_path / "log")
    assert str(error.value).startswith(f"{file}: row 2 (from 0): its item_id is empty")


@pytest.mark.parametrize(
    ("at", "unit", "said"),
    [
        (1_732_708_800_000, "s", "1732708800000 lies beyond the year 3000; is it --time_unit ms?"),
        (1_732_708_800_000_000, "ms", "1732708800000000 lies beyond the year 3000; is it --time_unit us?"),
    ],
)
def test_milliseconds_for_seconds(shop, at: int, unit: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        shop(CLICKS.with_columns(timestamp=pl.lit(at)), time_unit=unit)
    assert str(error.value) == f"clicks: row 0 (from 0): its timestamp {said}"


def test_what_is_no_table_is_said(shop, tmp_path: Path) -> None:
    known = r"\(.csv, .tsv, .jsonl, .parquet, and .gz behind those of text\)"
    (tmp_path / "clicks.xlsx").write_text("?")
    (tmp_path / "junk.parquet").write_text("?")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "ragged.csv").write_text("user_id,item_id,timestamp\nu,a,1,2\n")
    (tmp_path / "folder").mkdir()
    for name, said in {
        "none.csv": "no such file or folder",
        "clicks.xlsx": f"its name does not say what it is {known}",
        "folder": f"a folder without a table {known}",
        "junk.parquet": "not a readable .parquet",
        "empty.csv": "not a readable .csv",
        "ragged.csv": "cannot be read",
    }.items():
        with pytest.raises(InputError, match=f"{name}: {said}"):
            shop(tmp_path / name)


def test_a_missing_column_is_named(shop) -> None:
    with pytest.raises(InputError, match=r"clicks: no column 'itm_id'. Did you mean 'item_id'\?"):
        shop(item_id="itm_id")
    with pytest.raises(InputError, match=r"clicks: no column 'user_id'. --user_id says what it is called. Did"):
        shop(CLICKS.rename({"user_id": "user"}))


def test_a_search_without_words_is_a_bad_row(shop) -> None:
    searches = pl.DataFrame({"user_id": ["ann"], "timestamp": [90_000], "query": [" "]})
    with pytest.raises(InputError, match=r"searches: row 0 \(from 0\): its query is empty"):
        shop(searches=searches)


def test_pandas_frames_by_way_of_polars(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {"user_id": ["u"] * 3, "item_id": [1.0, 2.0, 3.0], "timestamp": pd.date_range("2024", periods=3)}
    )
    tables.convert(pl.from_pandas(frame), tmp_path / "log")
    assert lines(tmp_path / "log", "inter") == ["u\t1\t0\ttrain", "u\t2\t86400\tvalid", "u\t3\t172800\ttest"]
