import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from qilin_tiny import rec, search, shown, tiny, write_config

from recsys.atomic.problems import Problems
from recsys.errors import InputError
from recsys.qilin import convert, source
from recsys.qilin.schema import NEEDS, OPTIONAL
from recsys.qilin.source import locate, notes, read

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
            (root / config / "._train-00000-of-00002.parquet").write_bytes(b"what macOS leaves behind")
    for root in (tmp_path / "a", tmp_path / "b"):
        files = locate(root)
        assert {config: len(paths) for config, paths in files.items()} == dict.fromkeys(tiny(), 2)
        shards = [read("notes", path, Problems()) for path in files["notes"]]
        assert pl.concat(shards)["note_idx"].to_list() == list(range(24))
        assert [shard["row"].to_list() for shard in shards] == [[0], list(range(23))]


def test_the_cache_of_the_hub_with_its_links(raw, tmp_path):
    blobs, snapshot = tmp_path / "hub" / "blobs", tmp_path / "hub" / "snapshots" / "2c6855d"
    blobs.mkdir(parents=True)
    for number, path in enumerate(sorted(raw().rglob("*.parquet"))):
        link = snapshot / path.relative_to(tmp_path / "raw")
        link.parent.mkdir(parents=True)
        path.rename(blobs / f"{number:064x}")
        link.symlink_to(f"../../../blobs/{number:064x}")
    files = locate(snapshot)
    assert files.keys() == tiny().keys()
    frame = read("dqa", files["dqa"][0], Problems())
    assert frame["file"].to_list() == [str(snapshot / "dqa" / "train-00000-of-00001.parquet")]
    assert frame["query"].to_list() == ["为什么？"]


def test_a_folder_named_like_a_pattern(tmp_path):
    path = write_config(tmp_path / "[a]*", "notes", tiny()["notes"])
    write_config(tmp_path / "a", "notes", tiny()["notes"][:1])
    assert read("notes", path, Problems()).height == 24
    assert [piece.height for piece in notes(path, Problems())] == [24]


@pytest.mark.parametrize("config", ["notes", "search_train"])
def test_columns_that_are_not_needed_are_not_read(config, tmp_path):
    # February 2025's schema: note ids and embeddings besides; here all that is not needed is overwritten with 0xFF
    path = write_config(tmp_path, config, tiny()[config])
    table = pq.read_table(path)
    embedding = pa.array([[0.5] * 768] * len(table), pa.list_(pa.float32(), 768))
    table = table.append_column("note_id", pa.array(["66f0c0ffee"] * len(table))).append_column("embedding", embedding)
    pq.write_table(table, path)
    expected = read(config, path, Problems())
    damaged = bytearray(path.read_bytes())
    group = pq.read_metadata(path).row_group(0)
    for column in map(group.column, range(group.num_columns)):
        if column.path_in_schema.partition(".")[0] not in NEEDS[config]:
            start = column.dictionary_page_offset or column.data_page_offset
            damaged[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(damaged)
    with pytest.raises(OSError):  # pyarrow's complaint: the damage is real
        pq.read_table(path)
    assert read(config, path, Problems()).equals(expected)


@pytest.mark.parametrize("group", [1, 5, 24])
def test_notes_come_in_pieces(group, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "PIECE", 7)
    path = write_config(tmp_path, "notes", tiny()["notes"])
    pq.write_table(pq.read_table(path), path, row_group_size=group)
    pieces = list(notes(path, Problems()))
    assert [piece.height for piece in pieces] == [7, 7, 7, 3]
    assert pl.concat(pieces).equals(read("notes", path, Problems()))


def test_a_file_without_rows(tmp_path):
    for config in NEEDS:
        path = write_config(tmp_path, config, [])
        assert read(config, path, Problems()).height == 0
    assert [piece.height for piece in notes(tmp_path / "notes" / "train-00000-of-00001.parquet", Problems())] == [0]


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
    refused(root, root, f"{config}/", f"only {' and '.join(sorted(OPTIONAL))} are optional")


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
        ("search_test", "user_idx", pl.lit([1]), "List(Int64)"),
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
    nested = pl.struct(pl.element().struct.field(*fields), click=pl.struct(a=pl.element().struct["click"]))
    refused(root, rewrite(root, "recommendation_train", pl.col(REC).list.eval(nested)), f"{REC}.click", "Struct")


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


@pytest.mark.parametrize("damage", [b"", b"not parquet at all"])
def test_an_unreadable_file_is_not_one_bad_row(damage, raw):
    path = locate(raw())["search_train"][0]
    path.write_bytes(damage)
    with pytest.raises(InputError, match="not a complete parquet file"):
        read("search_train", path, Problems(skip=True))


NOTE = shown(14, 80_000)
BAD = {
    "no user": (rec(3, None, [NOTE]), "no id", "has no 'user_idx'"),
    "no request id": (rec(None, 1, [NOTE]), "no id", "has no 'request_idx'"),
    "negative user": (rec(3, -1, [NOTE]), "no valid id", "'user_idx' is no id"),
    "negative request id": (rec(-3, 1, [NOTE]), "no valid id", "'request_idx' is no id"),
    "negative note in the window": (rec(3, 1, [NOTE], (5, -1)), "no valid id", "'recent_clicked_note_idxs' is no id"),
    "nothing shown": (rec(3, 1, []), "no exposures", f"'{REC}' is empty"),
    "null shown": (rec(3, 1, None), "no exposures", f"'{REC}' is empty"),
    "an exposure of no note": (rec(3, 1, [NOTE, NOTE | {"note_idx": None}]), "no id", f"no '{REC}.note_idx'"),
    "a null exposure": (rec(3, 1, [NOTE, None]), "no id", f"no '{REC}.note_idx'"),
    "a negative note": (rec(3, 1, [NOTE, NOTE | {"note_idx": -1}]), "no valid id", f"'{REC}.note_idx' is no id"),
    "a negative click": (rec(3, 1, [NOTE | {"click": -2}]), "no valid click", f"'{REC}.click' is neither 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_refused_or_counted_and_left_out(case, raw, refused):
    row, reason, sentence = BAD[case]
    root = raw(recommendation_test=[rec(2, 1, [NOTE]), row, rec(4, 1, [NOTE]), row])
    (path,) = locate(root)["recommendation_test"]
    refused(root, path, "row 1", sentence, "2 here")
    problems = Problems(skip=True)
    assert read("recommendation_test", path, problems)["row"].to_list() == [0, 2]
    assert problems.counts == {reason: 2}
    assert f"{path}: row 1 (from 0): " in problems.examples[reason]


@pytest.mark.parametrize(
    ("config", "column", "values", "reason"),
    [
        ("search_train", "user_idx", ["0", "u1"], "no valid id"),
        ("search_train", "search_idx", [0.0, 0.5], "no valid id"),
        ("search_train", "user_idx", [0.0, float("nan")], "no id"),
        ("search_train", "query_from_type", ["2", "second"], "not a number"),
        ("notes", "note_type", ["1", "video"], "not a number"),
    ],
)
def test_a_value_that_is_no_whole_number(config, column, values, reason, tmp_path):
    path = write_config(tmp_path, config, [tiny()[config][0]] * 2)
    pl.read_parquet(path).with_columns(pl.Series(column, values)).write_parquet(path)
    with pytest.raises(InputError, match=rf"row 1 .*'{column}'"):
        read(config, path, Problems())
    problems = Problems(skip=True)
    assert read(config, path, problems)["row"].to_list() == [0]
    assert problems.counts == {reason: 1}


@pytest.mark.parametrize(("field", "reason"), [("click", "no valid click"), ("position", "not a number")])
def test_an_exposure_with_words_for_numbers(field, reason, tmp_path):
    path = write_config(tmp_path, "recommendation_train", [rec(0, 0, [NOTE]), rec(1, 0, [NOTE, NOTE])])
    words = pl.element().struct.with_fields(pl.lit("yes").alias(field))
    changed = pl.when(request_idx=1).then(pl.col(REC).list.eval(words))
    digits = pl.element().struct.with_fields(pl.element().struct[field].cast(pl.String))
    pl.read_parquet(path).with_columns(changed.otherwise(pl.col(REC).list.eval(digits))).write_parquet(path)
    problems = Problems(skip=True)
    assert read("recommendation_train", path, problems)["request_idx"].to_list() == [0]
    assert problems.counts == {reason: 1}


def test_missing_labels_are_no_problem(tmp_path):
    unknown = [
        NOTE | {"click": click, "search_timestamp": None, "position": None} for click in (None, -1, float("nan"))
    ]
    path = write_config(tmp_path, "search_test", [search(0, 0, None, unknown, kind=-1.0)])
    (row,) = read("search_test", path, Problems()).rows(named=True)
    assert row[SEARCH] == [{"note_idx": 14, "click": None, "position": None, "search_timestamp": None}] * 3
    assert (row["query"], row["query_from_type"]) == (None, None)


def test_id_zero_is_valid_everywhere(tmp_path):
    path = write_config(tmp_path, "recommendation_train", [rec(0, 0, [NOTE | {"note_idx": 0}], (0,))])
    assert read("recommendation_train", path, Problems()).height == 1


def test_the_same_request_twice(raw, refused):
    root = raw()
    write_config(root, "search_test", [search(0, 1, "x", [shown(22, 79_500, click=1)])], "train-00001-of-00002")
    refused(root, "search_test", "row 0", "search_idx 0 occurs before, in row 0 of", "search_train")
