import hashlib
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qilin_tiny import rec, search, shown, tiny, with_notes, write_config

from recsys.atomic import read, read_header
from recsys.errors import InputError
from recsys.qilin import Options, convert
from recsys.qilin.schema import WINDOW
from recsys.qilin.tables import TYPES


@pytest.fixture
def table(raw, tmp_path):
    """Rows of one atomic file of the converted tiny Qilin, with the notes' own numbers where items stand."""

    def rows(kind, **replaced):
        convert(raw(**replaced), tmp_path / "qilin")
        return with_notes(tmp_path / "qilin", kind)

    return rows


def test_interactions_by_hand(table):
    assert table("inter").rows() == [
        # User 0 is first seen asking a question at 900, which delivered the window 9 8 9.
        ("0", "9", 897, "w", "window", "train"),
        ("0", "8", 898, "w", "window", "train"),
        ("0", "9", 899, "w", "window", "train"),
        ("0", "10", 1000, "r0", "rec", "train"),
        ("0", "20", 1500, "s0", "search", "train"),
        ("0", "12", 2000, "r1", "rec", "valid"),
        ("0", "13", 2010, "r1", "rec", "valid"),
        # User 1 is first seen searching at 79,500.
        ("1", "4", 79_497, "w", "window", "test"),
        ("1", "5", 79_498, "w", "window", "test"),
        ("1", "6", 79_499, "w", "window", "test"),
        ("1", "22", 79_500, "s1", "search", "test"),
        ("1", "15", 80_003, "r2", "rec", "test"),
    ]


def test_requests_by_hand(table):
    rows = table("request").rows(named=True)
    assert [(r["request_id"], r["user_id"], r["timestamp"], r["split"]) for r in rows] == [
        ("r0", "0", 1000, "train"),
        ("r1", "0", 2000, "valid"),
        ("r2", "1", 80_000, "test"),
    ]
    assert [row["history"] for row in rows] == [["1", "2", "3"], ["2", "3", "10"], ["4", "5"]]
    assert [sorted(row["clicked"]) for row in rows] == [["10"], ["12", "13"], ["15"]]
    assert dict(zip(rows[0]["exposed"], rows[0]["position"], strict=True)) == {"10": 2, "11": 1}
    assert [row["clicked"] for row in rows] == [[i for i in row["exposed"] if i in row["clicked"]] for row in rows]


def test_searches_and_queries_by_hand(table, tmp_path):
    ids = {text: query_id(text) for text in ("ABc", "ab", "为什么?")}
    assert table("search").rows() == [
        ("s2", "0", 900, ids["为什么?"], "8", [], "train"),
        ("s0", "0", 1500, ids["ab"], "2", ["20"], "train"),
        ("s1", "1", 79_500, ids["ABc"], "0", ["22"], "test"),
    ]
    queries = read(tmp_path / "qilin" / "qilin.query")
    assert queries["query_id"].is_sorted()
    assert dict(queries.iter_rows()) == {
        ids["ABc"]: ["A", "B", "c"],
        ids["ab"]: ["a", "b"],
        ids["为什么?"]: list("为什么?"),
    }


def query_id(text: str) -> str:
    return "q" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def test_items_and_users_by_hand(raw, tmp_path):
    convert(raw(), tmp_path / "qilin")
    items = read(tmp_path / "qilin" / "qilin.item")
    assert items["item_id"].to_list() == [str(i) for i in range(24)]
    assert sorted(items["note_idx"], key=int) == [str(i) for i in range(24)]
    assert items["note_idx"].to_list() != items["item_id"].to_list()
    assert items.filter(note_idx="7").drop("item_id").row(0) == (list("title7"), "", "", "", "1", "7")
    assert read(tmp_path / "qilin" / "qilin.user").rows() == [
        ("0", "female", "", "", "Hong_Kong_Tsuen_Wan"),
        ("1", "female", "", "", "Hong_Kong_Tsuen_Wan"),
    ]


def test_texts_survive(table):
    titles = ["\tＱ&A\n第1篇\r\n 🥹‼️", '"quoted" — 100%', "\u3000 \u2028", None, "🇲🇾KL\x00的"]
    notes = [{"note_idx": i, "note_title": title, "taxonomy1_id": "a\tb"} for i, title in enumerate(titles)]
    items = table("item", notes=notes)
    assert ["".join(title) for title in items.sort("note_idx")["title"].to_list()] == [
        "Q&A第1篇🥹!!️",
        "'quoted'—100%",
        "",
        "",
        "🇲🇾KL的",
    ]
    assert items["taxonomy1"].unique().to_list() == ["a_b"]


def test_a_search_without_words_has_no_query(table):
    blank = [search(0, 0, None, [shown(20, 1500, click=1)]), search(5, 0, " \t", [shown(20, 1600, click=1)])]
    assert table("search", search_train=blank).filter(split="train")["query_id"].to_list() == [
        query_id("为什么?"),
        "",
        "",
    ]


def test_repeated_exposures_are_one_click_and_one_candidate(table):
    again = rec(2, 1, [shown(14, 80_000), shown(15, 80_003, click=1, position=3), shown(15, 88_000, position=2)])
    (row,) = table("request", recommendation_test=[again]).filter(split="test").rows(named=True)
    assert sorted(zip(row["exposed"], row["position"], strict=True)) == [("14", 1), ("15", 2)]
    assert row["clicked"] == ["15"]


def test_skewed_clocks_are_moved_or_dropped_and_counted(raw, tmp_path):
    rows = [*tiny()["recommendation_train"], rec(9, 7, [shown(1, 1500 - 3 * 86_400, click=1)], (1, 2))]
    meta = convert(raw(recommendation_train=rows), tmp_path / "qilin")
    assert meta["counts"]["reanchored"] == {"recommendation_train": 1}
    events = read(tmp_path / "qilin" / "qilin.inter").filter(user_id="7", request_id="r9")
    assert events["timestamp"].to_list() == [1500]

    meta = convert(raw(recommendation_train=rows), tmp_path / "qilin", Options(clocks="drop"))
    assert meta["counts"]["dropped_skewed"] == {"recommendation_train": 1}
    assert "7" not in read(tmp_path / "qilin" / "qilin.inter")["user_id"]
    assert "r9" not in read(tmp_path / "qilin" / "qilin.request")["request_id"]


def test_equal_numbers_of_a_request_and_a_search_stay_apart(table):
    clicks = table("inter").filter(source="rec", request_id="r0")["item_id"].to_list()
    assert clicks == ["10"]  # and not 20, which search_idx 0 led to


def test_candidates_tell_nothing_by_their_order(table):
    requests = [
        rec(i, 0, [shown(n, 1000 + i, click=int(n >= 15), position=n + 1) for n in range(20)]) for i in range(3, 203)
    ]
    rows = table("request", recommendation_train=requests).filter(split="train").rows(named=True)
    places = [place for row in rows for place, note in enumerate(row["exposed"]) if note in row["clicked"]]
    assert sum(places) / len(places) == pytest.approx(9.5, abs=0.8)
    assert len({tuple(row["exposed"]) for row in rows}) == len(rows)


def test_the_orders_are_those_of_a_known_hash(raw, tmp_path):
    requests = [rec(i, 0, [shown(n, 1000 + i, click=1) for n in range(6)]) for i in (3, 4)]
    convert(raw(recommendation_train=requests), tmp_path / "qilin", Options(seed=5))
    numbering = sorted(range(24), key=lambda note: splitmix(5 + 1, note))
    assert read(tmp_path / "qilin" / "qilin.item")["note_idx"].to_list() == [str(note) for note in numbering]
    items = [numbering.index(note) for note in range(6)]
    exposed = read(tmp_path / "qilin" / "qilin.request").filter(user_id="0")["exposed"].to_list()
    for request, shown_items in zip((3, 4), exposed, strict=True):
        assert shown_items == [str(i) for i in sorted(items, key=lambda item: splitmix(request, item))]


def splitmix(first: int, second: int) -> int:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014) in Python's unbounded integers."""
    x = (first * 0x9E3779B97F4A7C15 + second) % 2**64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_any_row_order_gives_the_same_files(tmp_path_factory, order: random.Random):
    folder = tmp_path_factory.mktemp("order")
    hashes = []
    for name in ("sorted", "shuffled"):
        for config, rows in tiny().items():
            if name == "shuffled":
                order.shuffle(rows)
                for row in rows:
                    for column in ("rec_result_details_with_idx", "search_result_details_with_idx"):
                        order.shuffle(row.get(column, []))
            cut = order.randint(0, len(rows)) if name == "shuffled" else 0
            write_config(folder / name, config, rows[:cut], "train-00000-of-00002")
            write_config(folder / name, config, rows[cut:], "train-00001-of-00002")
        hashes.append(convert(folder / name, folder / "out" / name / "qilin")["sha256"])
    assert hashes[0] == hashes[1]


def test_headers_and_meta(raw, tmp_path):
    output = tmp_path / "demo"
    steps = []
    meta = convert(raw(), output, progress=steps.append)
    assert sorted(path.name for path in output.iterdir()) == sorted(
        [*(f"demo.{kind}" for kind in TYPES), "demo.yaml", "demo.report.html", "demo.meta.json"]
    )
    for kind, types in TYPES.items():
        assert read_header(output / f"demo.{kind}") == types
        assert read(output / f"demo.{kind}").height > 0
    assert "\t1000\t" in (output / "demo.inter").read_text()  # whole seconds
    assert json.loads((output / "demo.meta.json").read_text()) == meta
    assert str(tmp_path) not in (output / "demo.meta.json").read_text()
    for name, digest in meta["sha256"].items():
        assert hashlib.sha256((output / name).read_bytes()).hexdigest() == digest
    assert (meta["source"], meta["synthetic"], meta["time_origin"]) == ("raw", None, 1_732_636_800)
    assert meta["split"]["valid_start"] == 2000
    assert meta["counts"]["events"] == {"rec": 4, "search": 2, "window": 6}
    assert meta["counts"]["requests"] == {"train": 1, "valid": 1, "test": 1}
    assert meta["counts"]["searches_without_click"] == 1
    assert meta["options"] == vars(Options())
    assert "looking at all users" in steps


def test_an_excerpt_of_the_notes_is_none_of_the_clicks_business(raw, tmp_path):
    meta = convert(raw(notes=[{"note_idx": 12, "note_title": "x"}]), tmp_path / "out")
    assert meta["counts"]["items_without_note"] == 10  # of the eleven in .inter


def test_a_click_beyond_the_notes_is_named_or_left_out(raw, tmp_path):
    rows = [*tiny()["search_train"], search(7, 0, "c", [shown(24, 1600, click=1), shown(20, 1600)], (1,))]
    root = raw(search_train=rows)
    with pytest.raises(InputError, match=r"search_train.*row 1 .*note_idx 24 is none of the 24 notes.*skip"):
        convert(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    meta = convert(root, tmp_path / "out", Options(on_error="skip"))
    assert meta["counts"]["bad_rows_left_out"] == {"unknown note": 1}
    assert read(tmp_path / "out" / "out.search").filter(search_id="s7")["clicked"].to_list() == [[]]


@pytest.mark.parametrize("config", ["recommendation_train", "search_test"])
def test_a_request_id_that_occurs_twice_is_named_or_left_out(raw, tmp_path, config):
    first = tiny()[config][0]
    index = "request_idx" if config.startswith("rec") else "search_idx"
    again = first | {"user_idx": 1, WINDOW: [7]}
    root = raw(**{config: [*tiny()[config], again]})
    row = len(tiny()[config])
    with pytest.raises(InputError, match=rf"{config}.*row {row} .*{index} {first[index]} occurs before, in row 0 of"):
        convert(root, tmp_path / "out")
    meta = convert(root, tmp_path / "out", Options(on_error="skip"))
    assert meta["counts"]["bad_rows_left_out"] == {"request twice": 1}
    assert meta["sha256"]["out.request"] == convert(raw(), tmp_path / "out")["sha256"]["out.request"]


def test_an_empty_split_leaves_nothing(raw, tmp_path):
    late = [rec(2, 1, [shown(14, 100_000, click=1)])]
    root = raw(recommendation_test=late)
    with pytest.raises(InputError, match="test split"):
        convert(root, tmp_path / "out", Options(clocks="drop"))
    assert list(tmp_path.iterdir()) == [root]


def test_an_earlier_conversion_is_replaced_and_nothing_else(raw, tmp_path):
    root, output = raw(), tmp_path / "out"
    convert(root, output)
    (output / "stale").touch()
    convert(root, output, Options(seed=1))
    assert not (output / "stale").exists()

    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "thesis.tex").touch()
    for wrong in (precious, root, tmp_path, root / "notes", precious / "thesis.tex"):
        with pytest.raises(InputError, match=r"replace|holds|is a file"):
            convert(root, wrong)
    assert (precious / "thesis.tex").exists()
    assert (root / "notes").is_dir()


def repeats():
    """User 0 clicks 10 in three requests, 12 between them, and 13 once."""
    times = [(0, 10, 1000), (1, 10, 1100), (3, 12, 1200), (4, 10, 1300), (5, 13, 2000)]
    return [rec(index, 0, [shown(note, second, click=1)]) for index, note, second in times]


@pytest.mark.parametrize(
    ("dedup", "clicked", "left_out"),
    [
        ("none", ["10", "10", "12", "10", "13"], 0),
        ("adjacent", ["10", "12", "10", "13"], 1),
        ("all", ["10", "12", "13"], 2),
    ],
)
def test_repeated_clicks(raw, tmp_path, dedup, clicked, left_out):
    root = raw(recommendation_train=repeats(), search_train=[search(0, 1, "a", [shown(20, 1500)])], dqa=None)
    meta = convert(root, tmp_path / "qilin", Options(dedup=dedup))
    events = with_notes(tmp_path / "qilin", "inter").filter(user_id="0", source="rec")
    assert events["item_id"].to_list() == clicked
    assert meta["counts"]["repeated_clicks_left_out"] == left_out
    assert with_notes(tmp_path / "qilin", "request").filter(user_id="0").height == 5  # every target stays


def test_rare_items_leave_the_histories_and_not_the_targets(raw, tmp_path):
    root = raw(recommendation_train=repeats(), search_train=[search(0, 1, "a", [shown(20, 1500)])], dqa=None)
    meta = convert(root, tmp_path / "qilin", Options(min_count=2))
    events = with_notes(tmp_path / "qilin", "inter")
    assert events["item_id"].to_list() == ["10", "10", "10"]  # 12 has one click; 13 was clicked in the validation only
    assert meta["counts"]["clicks_on_rare_items_left_out"] == 2 + 2  # 12 and 13, and 22 and 15 of user 1
    assert with_notes(tmp_path / "qilin", "request")["clicked"].to_list()[2] == ["12"]


def test_an_unknown_choice_is_named():
    with pytest.raises(InputError, match=r"split is 'offical'.* Did you mean 'official'"):
        Options(split="offical")
    with pytest.raises(InputError, match="min_count is 0"):
        Options(min_count=0)


def test_rows_that_showed_nothing_are_named_or_left_out(raw, tmp_path):
    rows = [*tiny()["recommendation_train"], rec(9, 0, [])]
    root = raw(recommendation_train=rows)
    with pytest.raises(InputError, match=r"recommendation_train.*row 2 .*skip"):
        convert(root, tmp_path / "out")
    meta = convert(root, tmp_path / "out", Options(on_error="skip"))
    assert meta["counts"]["bad_rows_left_out"] == {"no exposures": 1}
