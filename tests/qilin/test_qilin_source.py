import polars as pl
import pytest
from qilin_tiny import rec, search, shown, tiny, write_config

from recsys.errors import InputError
from recsys.qilin import convert
from recsys.qilin.source import locate, read

REC, SEARCH = "rec_result_details_with_idx", "search_result_details_with_idx"


@pytest.fixture
def refused(tmp_path):
    """Converting fails with one sentence that holds all fragments, and leaves nothing behind."""

    def check(source, *fragments):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(InputError) as error:
            convert(source, tmp_path / "out")
        for fragment in fragments:
            assert str(fragment) in str(error.value)
        assert "\n" not in str(error.value)
        assert sorted(tmp_path.rglob("*")) == before

    return check


def rewrite(root, config, *changes, **named):
    (path,) = (root / config).glob("*.parquet")
    pl.read_parquet(path).with_columns(*changes, **named).write_parquet(path)
    return path


def drop(root, config, column):
    (path,) = (root / config).glob("*.parquet")
    pl.read_parquet(path).drop(column).write_parquet(path)
    return path


def test_both_layouts_and_several_shards(tmp_path):
    for root in (tmp_path / "a", tmp_path / "b" / "data"):
        for config, rows in tiny().items():
            write_config(root, config, rows[:1], "train-00000-of-00002")
            write_config(root, config, rows[1:], "train-00001-of-00002")
    for root in (tmp_path / "a", tmp_path / "b"):
        files = locate(root)
        assert {config: len(paths) for config, paths in files.items()} == dict.fromkeys(tiny(), 2)
        assert read("notes", files["notes"])["note_idx"].to_list() == list(range(24))


def test_integers_and_doubles_none_and_nan_read_the_same(raw):
    root = raw()
    before = read("search_train", locate(root)["search_train"])
    fields = pl.read_parquet_schema(locate(root)["search_train"][0])[SEARCH].inner.fields
    integers = pl.Struct({field.name: pl.Int32 if field.name == "click" else pl.Int64 for field in fields})
    rewrite(root, "search_train", pl.col(SEARCH).cast(pl.List(integers), strict=False), pl.col("user_idx").cast(float))
    assert read("search_train", locate(root)["search_train"]).equals(before)
    for nothing in (float("nan"), None):
        rewrite(root, "search_train", pl.lit(nothing, pl.Float64).alias("query_from_type"))
        assert read("search_train", locate(root)["search_train"])["query_from_type"].to_list() == [None]


def test_optional_configurations_may_be_absent(raw, tmp_path):
    meta = convert(raw(dqa=None, user_feat=None), tmp_path / "out")
    assert "dqa" not in meta["counts"]["events"]
    assert not (tmp_path / "out" / "out.user").exists()
    assert "user:" not in (tmp_path / "out" / "out.yaml").read_text()


def test_missing_folder(tmp_path, refused):
    refused(tmp_path / "nowhere", tmp_path / "nowhere", "recommendation_train")


@pytest.mark.parametrize(
    "config", ["recommendation_train", "recommendation_test", "search_train", "search_test", "notes"]
)
def test_missing_configuration(raw, refused, config):
    root = raw(**{config: None})
    refused(root, root, f"{config}/")


def test_misnamed_configuration_gets_a_hint(raw, refused):
    root = raw()
    (root / "notes").rename(root / "note")
    refused(root, "notes/", "Did you mean 'note'?")


def test_missing_column(raw, refused):
    root = raw()
    path = rewrite(root, "notes", note_titel="note_title")
    drop(root, "notes", "note_title")
    refused(root, path, "'note_title'", "Did you mean 'note_titel'?")


def test_missing_field_of_an_exposure(raw, refused):
    root = raw()
    fields = ("note_idx", "click", "position")
    path = rewrite(root, "recommendation_test", pl.col(REC).list.eval(pl.struct(pl.element().struct.field(*fields))))
    refused(root, path, REC, "'request_timestamp'")


@pytest.mark.parametrize(
    ("config", "column", "value", "found"),
    [
        ("search_test", "user_idx", pl.lit("u1"), "String"),
        ("search_train", "query", pl.lit(5), "Int32"),
        ("recommendation_train", "recent_clicked_note_idxs", pl.lit("[1, 2]"), "String"),
        ("recommendation_train", REC, pl.lit("[{'click': 1}]"), "String"),
    ],
)
def test_column_of_another_type(raw, refused, config, column, value, found):
    root = raw()
    path = rewrite(root, config, value.alias(column))
    refused(root, path, repr(column), found)


def test_field_of_another_type(raw, refused):
    root = raw()
    fields = ("note_idx", "position", "request_timestamp")
    text = pl.struct(pl.element().struct.field(*fields), click=pl.element().struct["click"].cast(pl.String))
    refused(root, rewrite(root, "recommendation_train", pl.col(REC).list.eval(text)), f"{REC}.click", "String")


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"not parquet at all, just a text file that was renamed"])
def test_unreadable_file(raw, refused, damage):
    root = raw()
    path = root / "search_train" / "train-00000-of-00001.parquet"
    path.write_bytes(damage)
    refused(root, path, "parquet")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file(raw, refused, share):
    root = raw()
    path = root / "notes" / "train-00000-of-00001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(root, path, "download it again")


def test_row_without_its_id(raw, refused):
    root = raw()
    path = rewrite(root, "recommendation_train", user_idx=pl.Series([0, None], dtype=pl.Int64))
    refused(root, path, "row 1", "'user_idx'")


def test_exposure_without_its_note(raw, refused):
    nameless = shown(0, 1000) | {"note_idx": None}
    root = raw(recommendation_test=[rec(2, 1, [shown(14, 80_000)]), rec(3, 1, [shown(14, 80_000), nameless])])
    refused(root, "recommendation_test", "row 1", "note_idx")


def test_the_same_request_twice(raw, refused):
    root = raw()
    write_config(root, "search_test", [search(0, 1, "x", [shown(22, 79_500, click=1)])], "train-00001-of-00002")
    refused(root, "s0 occurs twice")
