"""A folder of atomic files as arrays, and what is said when it is none."""

import json

import numpy as np
import pytest

from recsys.data import SPLITS, SequenceData, load
from recsys.errors import InputError
from recsys.models.text import grams

INTER = [
    ("u", "w0", 0, "", "window", "train"),
    ("u", "a", 10, "r1", "rec", "train"),
    ("v", "b", 12, "r2", "rec", "train"),
    ("u", "new", 20, "r3", "rec", "valid"),
    ("u", "a", 30, "r4", "rec", "test"),
    ("u", "b", 31, "r4", "rec", "test"),
]
REQUEST = [
    ("r4", "u", 30, "test", ["w0", "a"], ["b", "x", "a"], [1, 2, 3], ["a", "b"]),
    ("r1", "u", 10, "train", ["w0"], ["a", "x"], [1, 2], ["a"]),
    ("r2", "v", 12, "train", [], ["b"], [1], ["b"]),
    ("r3", "u", 20, "valid", ["w0", "a"], ["new"], [1], ["new"]),
]
SEARCH = [
    ("s2", "u", 25, "q1", "2", [], "test"),
    ("s1", "u", 5, "q0", "1", ["a"], "train"),
    ("s3", "stranger", 5, "q0", "1", [], "train"),
]
QUERY = [("q0", ["红", "鞋"]), ("q1", ["h", "i"])]


@pytest.fixture
def tiny(folder):
    """The folder above, with files replaced; None leaves one out."""

    def write(**replaced):
        files = {"inter": INTER, "request": REQUEST, "search": SEARCH, "query": QUERY} | replaced
        return folder(**{name: rows for name, rows in files.items() if rows is not None})

    return write


def test_events_by_user_and_time(tiny):
    data = load(tiny())
    assert data.name == "tiny"
    assert data.users == ["u", "v"]
    assert data.events.user.tolist() == [0, 0, 0, 0, 0, 1]
    assert data.items.decode(data.events.item) == ["w0", "a", "[PAD]", "a", "b", "b"]  # "new" is not in training
    assert data.events.timestamp.tolist() == [0, 10, 20, 30, 31, 12]
    assert [SPLITS[i] for i in data.events.split] == ["train", "train", "valid", "test", "test", "train"]


def test_requests_with_targets_and_candidates(tiny):
    data = load(tiny())
    requests = data.requests
    assert requests.id == ["r1", "r3", "r4", "r2"]
    assert requests.user.tolist() == [0, 0, 0, 1]
    assert requests.timestamp.tolist() == [10, 20, 30, 12]
    assert [SPLITS[i] for i in requests.split] == ["train", "valid", "test", "train"]
    assert [data.items.decode(requests.target[i]) for i in range(4)] == [["a"], ["[PAD]"], ["a", "b"], ["b"]]
    assert [data.items.decode(requests.candidate[i]) for i in range(4)] == [
        ["a", "[PAD]"],
        ["[PAD]"],
        ["b", "[PAD]", "a"],
        ["b"],
    ]
    assert requests.clicked.tolist() == [True, False, True, True, False, True, True]
    assert requests.order is None


def test_searches_of_known_users_by_time(tiny):
    searches = load(tiny()).searches
    assert searches.user.tolist() == [0, 0]
    assert searches.timestamp.tolist() == [5, 25]
    assert searches.type.tolist() == [1, 2]
    assert [[g for g in row if g] for row in searches.gram.tolist()] == [grams("红鞋"), grams("hi")]


def test_what_searches_led_to_where_that_is_known(tiny):
    led = [("s1", "u", 25, "q1", "2", ["b", "?"], "train"), ("s0", "u", 5, "q0", "1", [], "train")]
    data = load(tiny(search=led))
    assert [data.items.decode(data.searches.clicked[i]) for i in range(2)] == [[], ["b", "[PAD]"]]
    file = tiny() / "tiny.search"
    file.write_text(file.read_text("utf-8").replace("clicked:", "opened:"), "utf-8")
    assert load(file.parent).searches.clicked is None


@pytest.mark.parametrize(("written", "read"), [("", 0), ("3.0", 3), ("typed", 0), ("9", 8), ("-1", 0)])
def test_a_query_type_is_a_number_from_0_to_8(tiny, written, read):
    assert load(tiny(search=[("s", "u", 5, "q0", written, [], "train")])).searches.type.tolist() == [read]


def test_the_vocabulary_is_that_of_the_named_splits(tiny):
    path = tiny()
    assert sorted(load(path).items.tokens) == ["a", "b", "w0"]
    assert sorted(load(path, ("train", "valid")).items.tokens) == ["a", "b", "new", "w0"]


def test_rare_items_are_left_out_of_the_vocabulary_when_asked(tiny):
    path = tiny()
    data = load(path, SPLITS, min_count=2)
    assert sorted(data.items.tokens) == ["a", "b"]
    assert data.items.decode(data.events.item) == ["[PAD]", "a", "[PAD]", "a", "b", "b"]
    assert data.fingerprint != load(path, SPLITS).fingerprint
    with pytest.raises(InputError, match=r"tiny: no item has 3 clicks in train \+ valid \+ test"):
        load(path, SPLITS, min_count=3)


def test_exposed_items_that_nobody_clicked_are_not_in_the_vocabulary(tiny):
    assert "x" not in load(tiny(), SPLITS).items.tokens


def test_a_repeated_click_of_a_request_leaves_the_candidates_in_place(tiny):
    twice = [("r1", "u", 10, "train", [], ["a", "x"], [1, 2], ["a", "a"]), *REQUEST[2:], REQUEST[0]]
    requests = load(tiny(request=twice)).requests
    assert len(requests.clicked) == len(requests.candidate.values)
    assert requests.clicked.tolist() == [True, False, True, True, False, True, True]


def test_a_data_set_without_searches(tiny):
    assert load(tiny(search=None, query=None)).searches is None
    assert load(tiny(search=[])).searches.user.tolist() == []


def test_a_generic_data_set(generic):
    rows = [("u", "a", 3.7), ("u", "b", 1.2), ("u", "c", 2), ("w", "a", 1), ("w", "d", 0)]
    data = load(generic(rows))
    assert data.requests.order.tolist() == [0, 1, 2, 0, 1]
    assert data.events.timestamp.tolist() == [1, 2, 3, 0, 1]
    assert [SPLITS[i] for i in data.requests.split] == ["train", "valid", "test", "train", "test"]
    assert sorted(data.items.tokens) == ["b", "d"]
    assert data.items.decode(data.requests.target.values) == ["b", "[PAD]", "[PAD]", "d", "[PAD]"]
    assert data.requests.candidate is None
    assert data.searches is None


def test_the_arrays_are_int64(tiny):
    data = load(tiny())
    arrays = {
        f"{part}.{name}": value
        for part in ("events", "requests", "searches")
        for name, value in vars(getattr(data, part)).items()
        if isinstance(value, np.ndarray) and name != "clicked"
    }
    assert {name: str(value.dtype) for name, value in arrays.items()} == dict.fromkeys(arrays, "int64")
    assert data.requests.target.values.dtype == data.requests.target.offsets.dtype == np.int64


def test_seconds_survive_that_float32_would_lose(generic):
    start = 1_720_008_222
    rows = [("u", item, start + i) for i, item in enumerate("abcd")]
    assert load(generic(rows)).events.timestamp.tolist() == [start, start + 1, start + 2, start + 3]


def test_the_fingerprint_is_that_of_the_content(tiny):
    path = tiny()
    first = load(path).fingerprint
    assert load(path).fingerprint == first
    assert load(path, ("train", "valid")).fingerprint != first
    (path / "tiny.item").write_text("item_id:token\nx\n")  # not read, hence no part of it
    assert load(path).fingerprint == first
    tiny(query=[("q0", ["红", "鞋"]), ("q1", ["h", "o"])])
    assert load(path).fingerprint != first


def test_generated_data_says_so(tiny):
    path = tiny()
    assert load(path).synthetic is False
    (path / "tiny.meta.json").write_text(json.dumps({"synthetic": {"seed": 1}}))
    assert load(path).synthetic is True


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such data set folder"):
        load(tmp_path / "nowhere")


def test_a_folder_without_interactions_in_it(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty\.inter: no such atomic file"):
        load(tmp_path / "empty")


def test_a_missing_field(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "x.inter").write_text("user_id:token\titem_id:token\ttime:float\nu\ti\t1\n")
    with pytest.raises(InputError, match=r"x\.inter: no field 'timestamp'\. Did you mean 'time'\?"):
        load(tmp_path / "x")


@pytest.mark.parametrize(
    ("file", "rows", "message"),
    [
        ("inter", [], r"tiny\.inter: no interactions"),
        ("inter", [("u", "a", 1, "r", "rec", "dev")], r"tiny\.inter: split 'dev' is none of train, valid, test"),
        ("inter", [("u", "a", None, "r", "rec", "train")], r"tiny\.inter: field 'timestamp' is empty in line 2"),
        ("request", [("r", "u", 1, "tset", [], [], [], [])], r"tiny\.request: split 'tset' is none of"),
        ("request", REQUEST[1:], r"tiny: the split 'test' is empty"),
        ("request", REQUEST[:3], r"tiny: the split 'valid' is empty"),
        ("request", [], r"tiny: the split 'train' is empty"),
        ("search", [("s", "u", 1, "q9", "1", [], "train")], r"tiny\.search: query_id 'q9' is not in tiny\.query"),
        ("search", [("s", "u", 1, "q0", "1", [], "")], r"tiny\.search: split '' is none of"),
        ("search", [("s", "u", None, "q0", "1", [], "train")], r"tiny\.search: field 'timestamp' is empty in line 2"),
        ("query", [("q0", []), ("q1", []), ("q0", ["a"])], r"tiny\.query: query_id 'q0' occurs twice"),
        ("query", None, r"tiny\.query: no such atomic file"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said_in_a_sentence(tiny, file, rows, message):
    with pytest.raises(InputError, match=message):
        load(tiny(**{file: rows}))


def test_users_with_too_few_events_for_a_validation(generic):
    with pytest.raises(InputError, match=r"plain: the split 'valid' is empty"):
        load(generic([("u", "a", 1), ("u", "b", 2), ("w", "a", 3)]))


@pytest.mark.parametrize(
    ("written", "message"),
    [("noon", "line 3, field 'timestamp' holds 'noon'"), ("nan", "in line 3 is nan"), ("inf", "in line 3 is inf")],
)
def test_a_time_that_is_none(tiny, written, message):
    path = tiny()
    lines = (path / "tiny.inter").read_text().replace("\t10\t", f"\t{written}\t").replace("\t10.0\t", f"\t{written}\t")
    (path / "tiny.inter").write_text(lines)
    with pytest.raises(InputError, match=message):
        load(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_len": 0}, "--data.max_len 0"),
        ({"batch_size": 0}, "--data.batch_size 0"),
        ({"eval_batch_size": -1}, "--data.eval_batch_size -1"),
        ({"max_len": 5, "stride": 6}, "--data.stride 6: must lie between 1 and max_len, 5"),
        ({"stride": 0}, "--data.stride 0"),
    ],
)
def test_flags_out_of_range(arguments, message):
    with pytest.raises(InputError, match=message):
        SequenceData("anywhere", **arguments)


def test_the_order_of_the_file_does_not_matter_for_searches(tiny):
    """Nor among those of one second."""
    several = [(f"s{i}", "u", 5 + i // 2, f"q{i % 2}", str(1 + i), [], "train") for i in range(4)]
    made = [load(tiny(search=rows)).searches for rows in (several, several[::-1])]
    for name in ("user", "timestamp", "type", "gram"):
        one, two = (getattr(searches, name) for searches in made)
        assert np.array_equal(one, two), name


def test_leave_one_out_keeps_the_order_of_the_file_in_ties(generic):
    """The user's rows stand apart in the file, and three have the same time: z, then a, then m."""
    rows = [("u", "late", 9), ("u", "z", 5), ("w", "a", 1), ("u", "a", 5), ("w", "z", 2), ("u", "m", 5), ("w", "m", 3)]
    rows += [("u", "early", 1)]
    data = load(generic(rows), ("train", "valid", "test"))
    mine = data.events.user == data.users.index("u")
    assert data.items.decode(data.events.item[mine]) == ["early", "z", "a", "m", "late"]
    assert [SPLITS[i] for i in data.events.split[mine]] == ["train", "train", "train", "valid", "test"]
