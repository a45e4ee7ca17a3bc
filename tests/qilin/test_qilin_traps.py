"""The traps of the release, one test each; what they cost who falls into them is in docs/data.md."""

import math

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from qilin_tiny import rec, search, shown, tiny, with_notes, write_config

from recsys.atomic import read
from recsys.data import load
from recsys.data.histories import histories
from recsys.qilin import Options, convert, synthesize
from recsys.qilin.schema import REC_DETAILS, SEARCH_DETAILS, WINDOW


@pytest.fixture
def table(raw, tmp_path):
    def rows(kind, options=None, **replaced):
        convert(raw(**replaced), tmp_path / "qilin", options or Options())
        return with_notes(tmp_path / "qilin", kind)

    return rows


def test_trap_1_every_file_is_called_train(table):
    assert set(table("request")["split"]) == {"train", "valid", "test"}  # it is the folder that tells


def test_trap_2_milliseconds_seconds_and_eight_hours(table):
    """A search half a minute before a request is seen by it, one half a minute after is not."""
    asked = [search(i, 0, f"query {i}", [shown(20, 1000 + after, click=1)]) for i, after in ((0, -30), (7, 30))]
    searches = table("search", search_train=asked)
    (request,) = table("request", search_train=asked).filter(request_id="r0").rows(named=True)
    assert [second < request["timestamp"] for second in searches.filter(search_id="s0")["timestamp"]] == [True]
    assert [second < request["timestamp"] for second in searches.filter(search_id="s7")["timestamp"]] == [False]


def test_trap_3_clocks_of_devices(table):
    days = [shown(10, 5_000 - 4 * 86_400, click=1)]
    mixed = [shown(10, 5_000 - 4 * 86_400, click=1), shown(11, 5_000 - 86_400)]
    rows = [*tiny()["recommendation_train"], rec(7, 1, days), rec(8, 1, mixed)]
    assert table("request", recommendation_train=rows).filter(request_id="r7")["timestamp"].to_list() == [5_000]
    assert "r8" not in table("request", recommendation_train=rows)["request_id"]


def test_trap_4_float32_has_no_room_for_epochs(table):
    """Seconds since the day began are exact in the float32 of RecBole; epochs are 128 s apart there."""
    seconds = table("inter")["timestamp"].to_numpy()
    assert (seconds.astype(np.float32).astype(np.int64) == seconds).all()
    assert np.abs(seconds).max() < 2**24
    assert np.float32(1_732_636_830) == np.float32(1_732_636_800)


@pytest.mark.parametrize("missing", [None, math.nan, -1.0])
def test_trap_5_what_is_missing(table, missing):
    rows = [search(0, 0, "a", [shown(20, 1500) | {"click": missing, "page_time": missing}], kind=missing)]
    (found,) = table("search", search_train=rows).filter(search_id="s0").rows(named=True)
    assert (found["clicked"], found["query_from_type"]) == ([], "0")


def test_trap_6_zero_is_a_note_a_user_and_a_request(table, tmp_path):
    rows = [*tiny()["recommendation_train"], rec(5, 0, [shown(0, 3000, click=1)])]
    assert table("inter", recommendation_train=rows).filter(item_id="0", user_id="0").height == 1
    data = load(tmp_path / "qilin")
    zero = read(tmp_path / "qilin" / "qilin.item").filter(note_idx="0")["item_id"][0]
    assert data.items.encode(["0", zero]).min() >= 0
    assert 0 not in data.events.item[data.events.split == 0]  # 0 is padding, and no event of training is


def test_trap_7_a_note_exposed_twice_is_one_candidate_and_one_click(table):
    twice = [shown(14, 80_000), shown(15, 80_003, click=1), shown(15, 80_900), shown(15, 80_950, click=1)]
    (row,) = table("request", recommendation_test=[rec(2, 1, twice)]).filter(split="test").rows(named=True)
    assert (sorted(row["exposed"]), row["clicked"]) == (["14", "15"], ["15"])
    assert table("inter", recommendation_test=[rec(2, 1, twice)]).filter(request_id="r2").height == 1


def test_trap_8_clicked_notes_come_last_in_the_details(tmp_path):
    """Reversed, the order of the release ranks better than chance; ours does not."""
    synthesize(tmp_path / "raw", users=300)
    convert(tmp_path / "raw", tmp_path / "qilin")
    raw = pl.concat(
        pl.read_parquet(tmp_path / "raw" / config / "*.parquet").select(REC_DETAILS)
        for config in ("recommendation_train", "recommendation_test")
    )
    theirs = [[note["click"] for note in row] for row in raw[REC_DETAILS].to_list()]
    ours = [
        [int(item in row["clicked"]) for item in row["exposed"]]
        for row in read(tmp_path / "qilin" / "qilin.request").rows(named=True)
    ]
    chance = np.mean([expected_reciprocal_rank(clicks) for clicks in ours])
    assert reciprocal_rank([clicks[::-1] for clicks in theirs]) > chance + 0.03
    assert reciprocal_rank(ours) == pytest.approx(chance, abs=0.02)
    assert reciprocal_rank([clicks[::-1] for clicks in ours]) == pytest.approx(chance, abs=0.02)


def reciprocal_rank(requests):
    return np.mean([1 / (clicks.index(1) + 1) for clicks in requests if 1 in clicks])


def expected_reciprocal_rank(clicks):
    """Of a random order of n candidates with c clicks: sum over ranks r of P(first click at r) / r."""
    n, c = len(clicks), sum(clicks)
    return sum(math.comb(n - rank, c - 1) / math.comb(n, c) / rank for rank in range(1, n - c + 2)) if c else 0.0


def test_trap_9_positions_are_not_contiguous_and_may_be_zero(table):
    places = [shown(14, 80_000, position=0), shown(15, 80_003, click=1, position=-1), shown(16, 80_003, position=50)]
    (row,) = table("request", recommendation_test=[rec(2, 1, places)]).filter(split="test").rows(named=True)
    assert dict(zip(row["exposed"], row["position"], strict=True)) == {"14": 0, "15": -1, "16": 50}


@pytest.mark.parametrize(("window", "history"), [((3, 2, 2, 1), ["1", "2", "2", "3"]), ((), [])])
def test_trap_10_windows_are_newest_first_with_repeats_or_empty(table, window, history):
    rows = [rec(2, 1, [shown(15, 80_000, click=1)], window)]
    assert table("request", recommendation_test=rows).filter(split="test")["history"].to_list() == [history]


def test_trap_11_numbers_of_notes_tell_what_became_of_them(tmp_path):
    """A model of nothing but a note's number gains on notes numbered by their fate, and gains nothing on our items."""
    synthesize(tmp_path / "raw", scale=0.02, leaky_ids=True)
    convert(tmp_path / "raw", tmp_path / "qilin")
    chance, ours = by_number(read(tmp_path / "qilin" / "qilin.request"), 32)
    note = read(tmp_path / "qilin" / "qilin.item", ["item_id", "note_idx"])
    assert note["item_id"].cast(pl.Int64).is_sorted()
    notes = dict(note.iter_rows())
    undone = read(tmp_path / "qilin" / "qilin.request").with_columns(
        pl.col("exposed", "clicked").list.eval(pl.element().replace_strict(notes))
    )
    _, theirs = by_number(undone, 32)
    assert theirs > chance + 0.02
    assert ours == pytest.approx(chance, abs=0.02)


def by_number(requests, bins):
    """MRR on test of random order, and of the click rates that bins of numbers had in training."""
    notes = 1 + max(int(item) for row in requests["exposed"] for item in row)
    shown_, clicked = np.ones(bins), np.full(bins, 0.25)
    for row in requests.filter(split="train").rows(named=True):
        place = [int(item) * bins // notes for item in row["exposed"]]
        np.add.at(shown_, place, 1)
        np.add.at(clicked, place, [item in row["clicked"] for item in row["exposed"]])
    chance, gained = [], []
    for row in requests.filter(split="test").rows(named=True):
        labels = [int(item in row["clicked"]) for item in row["exposed"]]
        rate = [(clicked / shown_)[int(item) * bins // notes] for item in row["exposed"]]
        order = np.lexsort((np.random.default_rng(len(chance)).random(len(rate)), -np.array(rate)))
        chance.append(expected_reciprocal_rank(labels))
        gained.append(1 / (1 + [labels[i] for i in order].index(1)))
    return np.mean(chance), np.mean(gained)


def test_trap_12_requests_and_searches_share_numbers(table):
    both = table("inter").filter(pl.col("request_id").is_in(["r0", "s0"]))
    assert dict(both.select("request_id", "item_id").iter_rows()) == {"r0": "10", "s0": "20"}


def test_trap_13_relevant_notes_come_from_clicks_and_no_row_number(raw, tmp_path):
    rows = [rec(5, 1, [shown(14, 80_000, click=1)]), rec(2, 1, [shown(15, 80_003, click=1)])]
    for order in (rows, rows[::-1]):
        convert(raw(recommendation_test=order), tmp_path / "qilin")
        found = with_notes(tmp_path / "qilin", "request").filter(split="test")
        assert dict(found.select("request_id", "clicked").iter_rows()) == {"r5": ["14"], "r2": ["15"]}


def test_trap_14_texts_hold_tabs_line_breaks_quotes_and_spaces(table):
    notes = [note | {"note_title": 'a\t"b"\r\n c'} for note in tiny()["notes"]]
    assert table("item", notes=notes)["title"].list.join("").unique().to_list() == ["a'b'c"]


def test_trap_15_places_have_double_spaces_and_commas(table, tmp_path):
    convert_places = [{"user_idx": i, "location": "Hong Kong  Tsuen Wan, 中国"} for i in range(2)]
    table("inter", user_feat=convert_places)
    assert read(tmp_path / "qilin" / "qilin.user")["location"].unique().to_list() == ["Hong_Kong_Tsuen_Wan,_中国"]


def test_trap_16_of_the_notes_only_what_is_needed_is_read(raw, tmp_path):
    root = raw()
    path = root / "notes" / "train-00000-of-00001.parquet"
    needed = ["note_idx", "note_title", "note_type", "taxonomy1_id", "taxonomy2_id", "taxonomy3_id"]
    pq.write_table(pq.read_table(path, columns=needed), path)  # without note_content and the monthly counts
    assert convert(root, tmp_path / "out")["counts"]["notes"] == 24


def test_trap_17_questions_are_searches_of_their_own_and_uncut(table):
    rows = [search(2, 0, "why", [shown(23, 900)]), search(3, 0, "how", [shown(23, 79_200, click=1)])]
    found = table("search", dqa=rows).filter(pl.col("search_id").is_in(["s2", "s3"]))
    assert dict(found.select("search_id", "split").iter_rows()) == {"s2": "train", "s3": "test"}


def test_trap_18_only_questions_go_without_a_click(table):
    assert table("search").filter(pl.col("clicked").list.len() == 0)["search_id"].to_list() == ["s2"]
    assert table("request")["clicked"].list.len().min() == 1


def test_trap_19_the_schema_of_february_2025(raw, tmp_path):
    expected = convert(raw(), tmp_path / "new")["sha256"]
    path = tmp_path / "raw" / "notes" / "train-00000-of-00001.parquet"
    old = pl.read_parquet(path).with_columns(note_id=pl.lit("6746"), note_embedding=pl.lit([0.5] * 3))
    old.write_parquet(path)
    found = convert(tmp_path / "raw", tmp_path / "old")["sha256"]
    assert {name.partition(".")[2]: digest for name, digest in found.items() if "yaml" not in name} == {
        name.partition(".")[2]: digest for name, digest in expected.items() if "yaml" not in name
    }


def test_trap_20_lengths_that_are_off_are_not_used(table):
    notes = [note | {"content_length": 7.0, "image_num": 9.0, "note_content": "x"} for note in tiny()["notes"]]
    assert set(table("item", notes=notes).columns).isdisjoint({"content_length", "image_num"})


def test_trap_21_users_without_any_row(table, tmp_path):
    features = [{"user_idx": i, "gender": "female"} for i in range(5)]
    assert set(table("inter", user_feat=features)["user_id"]) == {"0", "1"}
    assert read(tmp_path / "qilin" / "qilin.user").height == 5


def test_trap_22_lists_of_any_writer(raw, tmp_path):
    root = raw()
    expected = convert(root, tmp_path / "a" / "qilin")["sha256"]
    for config in ("search_train", "dqa"):
        path = root / config / "train-00000-of-00001.parquet"
        table = pl.read_parquet(path).with_columns(pl.col(WINDOW).cast(pl.List(pl.Float64)).alias(WINDOW)).to_arrow()
        large = pa.large_list(table.schema.field(SEARCH_DETAILS).type.value_type)
        pq.write_table(
            table.set_column(
                table.column_names.index(SEARCH_DETAILS), SEARCH_DETAILS, table[SEARCH_DETAILS].cast(large)
            ),
            path,
        )
    found = convert(root, tmp_path / "b" / "qilin")["sha256"]
    assert found == expected


def test_own_clicks_are_counted_and_kept(raw, tmp_path):
    again = [search(0, 0, "a", [shown(20, 1500, click=1), shown(21, 1500)], (20, 3))]
    meta = convert(raw(search_train=again), tmp_path / "qilin")
    assert meta["counts"]["own_clicks_in_window"] == {"search": 1}
    assert with_notes(tmp_path / "qilin", "search").filter(search_id="s0")["clicked"].to_list() == [["20"]]


@pytest.mark.parametrize("split", ["official", "strict_time", "temporal", "leave_one_out"])
def test_searches_and_later_splits_are_context_and_never_targets(tmp_path, split):
    synthesize(tmp_path / "raw", users=60)
    convert(tmp_path / "raw", tmp_path / "qilin", Options(split=split))
    requests = read(tmp_path / "qilin" / "qilin.request")
    assert requests["request_id"].str.starts_with("r").all()
    data = load(tmp_path / "qilin")
    train = histories(data, "train")
    assert set(data.requests.split[train.request]) == {0}
    assert set(data.searches.split[train.search_row]) <= {0}
    clicks = read(tmp_path / "qilin" / "qilin.inter")
    assert set(clicks.filter(source="window")["request_id"]) == {"w"}


def test_clicks_of_a_request_are_never_visible_to_each_other(tmp_path):
    """A request that goes on for ten hours has one history: what was clicked before it began."""
    rows = tiny()
    long = rec(1, 0, [shown(12, 2000, click=1), shown(13, 38_000, click=1)], (10, 3, 2))
    later = rec(3, 0, [shown(16, 50_000, click=1)])
    rows["recommendation_train"] = [rows["recommendation_train"][0], long, later]
    for config, each in rows.items():
        write_config(tmp_path / "raw", config, each)
    convert(tmp_path / "raw", tmp_path / "qilin", Options(valid_fraction=0.3))
    data = load(tmp_path / "qilin")
    train = histories(data, "train")
    seen = {data.requests.id[r]: int(v) for r, v in zip(train.request, train.visible, strict=True)}
    events = read(tmp_path / "qilin" / "qilin.inter").filter(user_id="0")
    assert seen["r1"] == events.filter(pl.col("timestamp") < 2000).height
