"""What a data set says of its items."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from recsys.atomic import Vocabulary
from recsys.data import SequenceData, cached, load
from recsys.data.cache import cached_content
from recsys.data.items import read_content, read_kinds
from recsys.errors import InputError
from recsys.models.text import grams

ITEMS = Vocabulary(["a", "b", "c", "d"])
TOKENS, SEQUENCES = ["item_id", "taxonomy1", "taxonomy2", "note_idx"], ["title", "tags"]
FIELDS = [*(f"{name}:token" for name in TOKENS), *(f"{name}:token_seq" for name in SEQUENCES), "v:float_seq", "n:float"]
HEADER = "\t".join(FIELDS)
ROWS = [
    "c\tx\tx\t7\t红 鞋 子\tp q\t1 2\t3",
    "x\ty\t\t8\t无\t\t\t4",
    "a\ty\t\t9\t\tq\t\t5",
    "b\t\ty\t1\tToy Story\t\t3 4\t6",
]


def write(path: Path, rows: list[str], header: str = HEADER) -> Path:
    path.mkdir(exist_ok=True)
    (path / f"{path.name}.item").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def code(text: str) -> int:
    return 1 + zlib.crc32(text.encode())


def test_titles_are_hashed_at_the_numbers_of_their_items(tmp_path):
    content = read_content(write(tmp_path / "d", ROWS), ITEMS)
    texts = ["", "", "toystory", "红鞋子", ""]
    assert [[g for g in row if g] for row in content.gram.tolist()] == [grams(text) for text in texts]
    assert content.gram.dtype == np.uint32
    assert content.vector.shape == (5, 0)


def test_taxonomies_count_by_field_and_value_and_nothing_else_does(tmp_path):
    content = read_content(write(tmp_path / "d", ROWS), ITEMS)
    told = [sorted(c for c in row if c) for row in content.category.tolist()]
    c = sorted([code("taxonomy1=x"), code("taxonomy2=x")])
    assert told == [[], [code("taxonomy1=y")], [code("taxonomy2=y")], c, []]


def test_fields_by_name_and_a_field_of_vectors(tmp_path):
    content = read_content(write(tmp_path / "d", ROWS), ITEMS, ["tags"], "v")
    assert [{*row} - {0} for row in content.category.tolist()] == [
        *(set(), {code("tags=q")}, set()),
        *({code("tags=p"), code("tags=q")}, set()),
    ]
    assert content.vector.tolist() == [[0, 0], [0, 0], [3, 4], [1, 2], [0, 0]]
    assert read_content(tmp_path / "d", ITEMS, []).category.shape == (5, 0)


def test_categories_as_numbers_of_all_fields_and_of_the_first(tmp_path):
    every, first = read_kinds(write(tmp_path / "d", ROWS), ITEMS)
    told = [{*row} - {0} for row in every.tolist()]
    assert [len(kinds) for kinds in told] == [0, 1, 1, 2, 0]
    assert len(set.union(*told)) == 4, "y of one field is not y of another"
    assert (first > 0).any(axis=1).tolist() == [False, True, False, True, False]
    assert first.max() == 2


def test_a_category_named_twice_counts_once_and_without_any_there_are_none(tmp_path):
    twice = write(tmp_path / "d", ["a\tq q p"], "item_id:token\ttags:token_seq")
    every, _ = read_kinds(twice, ITEMS, ["tags"])
    assert sorted(every[1].tolist()) == [1, 2]
    assert read_kinds(twice, ITEMS) is None
    assert read_kinds(tmp_path / "nothing", ITEMS) is None


@pytest.mark.parametrize(
    ("rows", "fields", "message"),
    [
        ([*ROWS, ROWS[0]], {}, "item 'c' occurs twice"),
        (ROWS, {"categories": ["nothing"]}, "no field 'nothing'"),
        (ROWS, {"categories": ["n"]}, "names 'n', which holds numbers"),
        (ROWS, {"vectors": "n"}, "names 'n', which is no float_seq"),
        ([*ROWS, "d\t\t\t\t\t\t5\t0"], {"vectors": "v"}, "of item 'd' has 1 numbers, of others 2"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, rows, fields, message):
    with pytest.raises(InputError, match=rf"d\.item: .*{message}"):
        read_content(write(tmp_path / "d", rows), ITEMS, **fields)


def test_a_file_that_tells_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing known"):
        read_content(write(tmp_path / "d", ["a\t1"], "item_id:token\tprice:float"), ITEMS)
    with pytest.raises(InputError, match=r"e\.item: no such atomic file"):
        read_content(tmp_path / "e", ITEMS)


def test_from_the_cache_it_is_what_the_file_says_now(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "d", ROWS)
    for rows in (ROWS, ROWS, ROWS[:2]):
        write(path, rows)
        for fields in ({}, {"categories": ["tags"], "vectors": "v"}):
            ours, theirs = cached_content(path, ITEMS, **fields), read_content(path, ITEMS, **fields)
            for name, value in vars(theirs).items():
                assert np.array_equal(getattr(ours, name), value)
    assert len([*(tmp_path / "cache").glob("*.safetensors")]) == 4


INTER = [
    ("u", "a", 10, "r1", "rec", "train"),
    ("u", "b", 20, "r2", "rec", "valid"),
    ("v", "c", 30, "r3", "rec", "test"),
]
REQUEST = [
    ("r1", "u", 10, "train", [], ["a", "x"], [1, 2], ["a"]),
    ("r2", "u", 20, "valid", ["a"], ["b"], [1], ["b"]),
    ("r3", "v", 30, "test", [], ["c", "x"], [1, 2], ["c"]),
]


def test_a_catalogue_has_every_item_that_is_described_or_was_clicked_in_training(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    path = folder(inter=INTER, request=REQUEST)
    write(path, [ROWS[0], ROWS[1]])
    for opened in (load, cached):
        dataset = opened(path, ("catalogue",))
        assert {*dataset.items.tokens} == {"a", "c", "x"}
        assert dataset.items.decode(dataset.requests.candidate[2]) == ["c", "x"]
        assert dataset.items.decode(dataset.requests.target[2]) == ["c"]
    write(path, ROWS)
    assert {*cached(path, ("catalogue",)).items.tokens} == {"a", "b", "c", "x"}
    assert {*cached(path).items.tokens} == {"a"}


def test_of_a_catalogue_the_count_tells_who_has_an_id(folder):
    path = folder(inter=INTER, request=REQUEST)
    write(path, ROWS)
    data = SequenceData(str(path), vocabulary="catalogue", vectors="v")
    assert {data.dataset.items.tokens[i - 1] for i in np.flatnonzero(data.popularity() >= data.min_count)} == {"a"}
    assert data.vector_width == 2
    assert SequenceData(str(path)).vector_width == 0


def test_a_catalogue_without_a_file_is_refused(folder):
    with pytest.raises(InputError, match=r"tiny\.item: no such atomic file"):
        load(folder(inter=INTER, request=REQUEST), ("catalogue",))
