import hashlib
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qilin_tiny import rec, search, shown, tiny, write_config

from recsys.atomic import read, read_header
from recsys.errors import InputError
from recsys.qilin import convert
from recsys.qilin.tables import TYPES


@pytest.fixture
def table(raw, tmp_path):
    """Rows of one atomic file of the converted tiny Qilin."""

    def rows(kind, **replaced):
        convert(raw(**replaced), tmp_path / "qilin")
        return read(tmp_path / "qilin" / f"qilin.{kind}")

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
    assert table("search").rows() == [
        ("s2", "0", 900, "q2", "8", [], "train"),
        ("s0", "0", 1500, "q1", "2", ["20"], "train"),
        ("s1", "1", 79_500, "q0", "0", ["22"], "test"),
    ]
    assert read(tmp_path / "qilin" / "qilin.query").rows() == [
        ("q0", ["A", "B", "c"]),
        ("q1", ["a", "b"]),
        ("q2", ["为", "什", "么", "?"]),
    ]


def test_items_and_users_by_hand(table, tmp_path):
    items = table("item")
    assert items.height == 24
    assert items.row(0) == ("0", list("title0"), "", "", "", "1")
    assert read(tmp_path / "qilin" / "qilin.user").rows() == [
        ("0", "female", "", "", "Hong_Kong_Tsuen_Wan"),
        ("1", "female", "", "", "Hong_Kong_Tsuen_Wan"),
    ]


def test_texts_survive(table):
    titles = ["\tＱ&A\n第1篇\r\n 🥹‼️", '"quoted" — 100%', "\u3000 \u2028", None, "🇲🇾KL\x00的"]
    notes = [{"note_idx": i, "note_title": title, "taxonomy1_id": "a\tb"} for i, title in enumerate(titles)]
    items = table("item", notes=notes)
    assert ["".join(title) for title in items["title"].to_list()] == [
        "Q&A第1篇🥹!!️",
        "'quoted'—100%",
        "",
        "",
        "🇲🇾KL的",
    ]
    assert items["taxonomy1"].unique().to_list() == ["a_b"]


def test_a_search_without_words_has_no_query(table):
    blank = [search(0, 0, None, [shown(20, 1500, click=1)]), search(5, 0, " \t", [shown(20, 1600, click=1)])]
    assert table("search", search_train=blank).filter(split="train")["query_id"].to_list() == ["q1", "", ""]


def test_repeated_exposures_are_one_click_and_one_candidate(table):
    again = rec(2, 1, [shown(14, 80_000), shown(15, 80_003, click=1, position=3), shown(15, 88_000, position=2)])
    (row,) = table("request", recommendation_test=[again]).filter(split="test").rows(named=True)
    assert sorted(zip(row["exposed"], row["position"], strict=True)) == [("14", 1), ("15", 2)]
    assert row["clicked"] == ["15"]


def test_a_skewed_clock_is_dropped_and_counted(raw, tmp_path):
    rows = [*tiny()["recommendation_train"], rec(9, 7, [shown(1, -3 * 86_400, click=1)], (1, 2))]
    meta = convert(raw(recommendation_train=rows), tmp_path / "qilin")
    assert meta["counts"]["dropped_skewed"]["recommendation_train"] == 1
    assert "7" not in read(tmp_path / "qilin" / "qilin.inter")["user_id"]
    assert "r9" not in read(tmp_path / "qilin" / "qilin.request")["request_id"]


def test_equal_numbers_of_a_request_and_a_search_stay_apart(table):
    clicks = table("inter").filter(source="rec", request_id="r0")["item_id"].to_list()
    assert clicks == ["10"]  # and not 20, which search_idx 0 led to


def test_candidates_tell_nothing_by_their_order(table):
    notes = list(range(100, 120))
    requests = [
        rec(i, 0, [shown(n, 1000 + i, click=int(n >= 115), position=n - 99) for n in notes]) for i in range(3, 203)
    ]
    rows = table("request", recommendation_train=requests).filter(split="train").rows(named=True)
    places = [place for row in rows for place, note in enumerate(row["exposed"]) if note in row["clicked"]]
    assert sum(places) / len(places) == pytest.approx(9.5, abs=0.8)
    assert len({tuple(row["exposed"]) for row in rows}) == len(rows)


def test_the_order_is_that_of_a_known_hash(table):
    requests = [rec(i, 0, [shown(n, 1000 + i, click=1) for n in range(6)]) for i in (3, 4)]
    exposed = table("request", recommendation_train=requests)["exposed"].to_list()
    for request, notes in zip((3, 4), exposed, strict=False):
        assert notes == sorted(map(str, range(6)), key=lambda note: splitmix(request, int(note)))


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
        [*(f"demo.{kind}" for kind in TYPES), "demo.yaml", "demo.meta.json"]
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
    assert "reading notes" in steps


def test_clicks_on_unknown_notes_are_counted(raw, tmp_path):
    meta = convert(raw(notes=[{"note_idx": 12, "note_title": "x"}]), tmp_path / "out")
    assert meta["counts"]["items_without_note"] == 10  # of the eleven in .inter


def test_an_empty_split_leaves_nothing(raw, tmp_path):
    late = [rec(2, 1, [shown(14, 100_000, click=1)])]
    root = raw(recommendation_test=late)
    with pytest.raises(InputError, match="test split"):
        convert(root, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [root]


def test_an_earlier_conversion_is_replaced_and_nothing_else(raw, tmp_path):
    root, output = raw(), tmp_path / "out"
    first = convert(root, output)
    (output / "stale").touch()
    assert convert(root, output) == first
    assert not (output / "stale").exists()

    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "thesis.tex").touch()
    for wrong in (precious, root, tmp_path, root / "notes", precious / "thesis.tex"):
        with pytest.raises(InputError, match=r"replace|holds|is a file"):
            convert(root, wrong)
    assert (precious / "thesis.tex").exists()
    assert (root / "notes").is_dir()
