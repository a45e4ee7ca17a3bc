"""What is opened from the cache is what would be read, whatever becomes of the cache or of the files."""

import dataclasses
import os
import shutil
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recsys import atomic
from recsys.data import cache, cached, load
from recsys.data.cache import Lines
from recsys.errors import InputError

INTER = [
    ("u", "a", 10, "r1", "rec", "train"),
    ("u", "b", 20, "r2", "rec", "valid"),
    ("v", "红", 30, "r3", "rec", "test"),
    ("v", "红", 5, "", "window", "train"),
]
REQUEST = [
    ("r1", "u", 10, "train", [], ["a", "x"], [1, 2], ["a"]),
    ("r2", "u", 20, "valid", ["a"], ["b"], [1], ["b"]),
    ("r3", "v", 30, "test", [], ["红", "b"], [1, 2], ["红"]),
]
SEARCH = [("s1", "u", 5, "q", "1", [], "train")]
QUERY = [("q", ["鞋"])]


def same(one: object, other: object) -> bool:
    """Equal to the last field, dtype and bit."""
    if dataclasses.is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one)
        )
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    return one == other


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A cache of one's own, in which files count as settled at once."""
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SETTLED", -60.0)
    return tmp_path / "cache"


@pytest.fixture
def data(folder):
    return folder(inter=INTER, request=REQUEST, search=SEARCH, query=QUERY)


@pytest.fixture
def forbid(monkeypatch):
    """Let a step of opening fail, to show that it is not taken."""

    def never(*names):
        for name in names:
            monkeypatch.setattr(cache, name, lambda *_, name=name: pytest.fail(f"{name} was called"))

    return never


def entry(place: Path) -> Path:
    (found,) = place.glob("*.safetensors")
    return found


def test_an_opened_data_set_is_the_one_that_was_read(place, data, forbid):
    fresh = load(data)
    assert same(cached(data), fresh)
    forbid("load", "fingerprint")
    opened = cached(data)
    assert same(opened, fresh)
    assert opened.requests.id[1] == "r2"
    assert opened.users[:2] == ["u", "v"]
    assert opened.items.sha256 == fresh.items.sha256
    assert opened.items.encode(["红", "b"]).tolist() == fresh.items.encode(["红", "b"]).tolist()


KINDS = {
    "inter": {"user_id": "token", "item_id": "token", "timestamp": "float", "split": "token"},
    "request": {
        "request_id": "token",
        "user_id": "token",
        "timestamp": "float",
        "split": "token",
        "exposed": "token_seq",
        "clicked": "token_seq",
    },
    "search": {
        "user_id": "token",
        "timestamp": "float",
        "query_id": "token",
        "query_from_type": "token",
        "split": "token",
    },
    "query": {"query_id": "token", "query": "token_seq"},
}
names, seconds = st.sampled_from(["a", "b", "c", "é", "红", "0", "-"]), st.integers(-5, 40)


@settings(max_examples=40, deadline=None)
@given(
    clicks=st.lists(st.tuples(names, names, seconds), min_size=3, max_size=12),
    searches=st.lists(st.tuples(names, seconds, names), max_size=4) | st.none(),
    official=st.booleans(),
)
def test_any_data_set_survives_the_cache(clicks, searches, official):
    """With and without requests, candidates, searches; to have none of a kind is not the same as to lack the file."""
    split = ["train", "valid", "test"] * len(clicks)
    files = {"inter": [(*click, split[i]) for i, click in enumerate(clicks)]}
    if official:
        files["request"] = [
            (str(i), user, second, split[i], [item, user], [item]) for i, (user, item, second) in enumerate(clicks)
        ]
    if searches is not None:
        files["search"] = [(user, second, f"q{text}", "1", "train") for user, second, text in searches]
        files["query"] = [(f"q{text}", [text]) for text in sorted({text for _, _, text in searches})]
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSYS_CACHE", str(Path(root) / "cache"))
        folder = Path(root) / "d"
        for suffix, rows in files.items():
            schema = {field: atomic.FIELD_TYPES[kind] for field, kind in KINDS[suffix].items()}
            atomic.write(pl.DataFrame(rows, schema=schema, orient="row"), folder / f"d.{suffix}", KINDS[suffix])
        if not official:  # the last two of a user are validation and test, so somebody needs three
            assume(Counter(user for user, _, _ in clicks).most_common(1)[0][1] >= 3)
        fresh = load(folder)
        assert same(cached(folder), fresh)
        assert same(cached(folder), fresh)


def test_texts_are_told_apart_when_asked_for():
    assert Lines(np.frombuffer(b"", np.uint8), 0) == []
    assert Lines(np.frombuffer(b"", np.uint8), 1) == [""]
    assert list(Lines(np.frombuffer("a\n\né".encode(), np.uint8), 3)) == ["a", "", "é"]
    assert Lines(np.frombuffer(b"a", np.uint8), 1) != ["b"]


def test_a_file_that_was_only_touched_is_not_parsed_again(place, data, forbid):
    fresh = cached(data)
    (data / "tiny.inter").touch()
    forbid("load")
    assert same(cached(data), fresh)
    forbid("fingerprint")
    assert same(cached(data), fresh)


def test_new_content_of_the_same_size_and_time_is_seen(place, data):
    cached(data)
    file = data / "tiny.inter"
    times = file.stat()
    file.write_text(file.read_text().replace("\ta\t", "\tc\t"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert sorted(cached(data).items.tokens) == ["c", "红"]
    assert same(cached(data), load(data))


def test_a_file_that_may_still_change_unseen_is_hashed_each_time(place, data, monkeypatch):
    monkeypatch.setattr(cache, "SETTLED", 60.0)
    cached(data)
    assert [file.suffix for file in place.iterdir()] == [".safetensors"]
    assert same(cached(data), load(data))


def test_rules_and_files_that_come_or_go_make_another_data_set(place, data):
    assert sorted(cached(data).items.tokens) == ["a", "红"]
    assert sorted(cached(data, ("train", "valid")).items.tokens) == ["a", "b", "红"]
    (data / "tiny.search").unlink()
    assert cached(data).searches is None
    (data / "tiny.meta.json").write_text('{"synthetic": {}, "options": {"history": "window"}}')
    assert cached(data).requests.delivered is not None
    (data / "tiny.meta.json").write_text('{"synthetic": {"seed": 1}}')
    assert cached(data).synthetic is True
    assert same(cached(data), load(data))


def test_the_same_files_elsewhere_are_not_parsed_again(place, data, forbid):
    fresh = cached(data)
    other = data.parent / "other"
    shutil.copytree(data, other)
    for file in list(other.iterdir()):
        file.rename(other / file.name.replace("tiny", "other"))
    forbid("load")
    opened = cached(other)
    assert opened.name == "other"
    assert same(dataclasses.replace(opened, name="tiny"), fresh)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content[:-1],
        lambda content: b"no header" * 50,
        lambda content: (8).to_bytes(8, "little") + b'{"a": 1}',
        lambda content: content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
        lambda content: content[:-500] + bytes(500),
    ],
    ids=["empty", "header", "last byte", "noise", "other json", "one bit", "zeros"],
)
def test_a_damaged_cache_is_made_anew(place, data, damage, forbid):
    fresh = cached(data)
    content = entry(place).read_bytes()
    assert damage(content) != content
    entry(place).write_bytes(damage(content))
    assert same(cached(data), fresh)
    (note,) = place.glob("*.json")
    note.write_text("[")
    forbid("load")
    assert same(cached(data), fresh)


def test_another_version_of_the_code_reads_for_itself(place, data, monkeypatch):
    cached(data)
    monkeypatch.setattr(cache, "_code", lambda: "another")
    cached(data)
    assert len(list(place.glob("*.safetensors"))) == 2


def test_what_cannot_be_written_is_no_error(data, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    for place in ("", str(tmp_path / "file"), str(tmp_path / "file" / "below")):
        monkeypatch.setenv("RECSYS_CACHE", place)
        assert same(cached(data), load(data))
    assert (tmp_path / "file").read_text() == "in the way"


def test_what_is_changed_in_memory_stays_there(place, data):
    fresh = cached(data)
    cached(data).events.item[:] = 7
    assert same(cached(data), fresh)


def test_many_at_once(place, data):
    fresh = load(data)
    with ThreadPoolExecutor(8) as pool:
        assert all(same(opened, fresh) for opened in pool.map(lambda _: cached(data), range(32)))
    assert len(list(place.iterdir())) == 2


def test_what_nobody_opens_leaves(place, data, monkeypatch):
    cached(data)
    old, unopened = entry(place), place / "torn.tmp"
    unopened.write_bytes(bytes(10))
    long_ago = time.time() - 31 * 86400
    for file in place.iterdir():
        os.utime(file, (long_ago, long_ago))
    cached(data)  # opened again, and so kept
    cached(data, ("train", "valid"))
    assert old.exists()
    assert not unopened.exists()
    monkeypatch.setattr(cache, "KEPT_BYTES", 1)
    cached(data, ("train", "valid", "test"))
    assert list(place.glob("*.safetensors")) == []


def test_errors_are_those_of_reading(place, tmp_path, data):
    with pytest.raises(InputError, match="no such data set folder"):
        cached(tmp_path / "nowhere")
    (data / "tiny.meta.json").write_text("[")
    with pytest.raises(InputError, match=r"tiny\.meta\.json: not a JSON object"):
        cached(data)
    assert not place.exists()
