import json
import re
from itertools import product

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.qilin import Options, convert, holdings, report
from recsys.qilin.holdings import Holdings

ORIGIN = 1_732_636_800
META = {"source": "qilin", "synthetic": None, "time_origin": ORIGIN, "search_offset": 28_800}
HEADERS = {
    "inter": "user_id:token item_id:token timestamp:float request_id:token source:token split:token",
    "request": "request_id:token user_id:token timestamp:float split:token history:token_seq exposed:token_seq "
    "position:float_seq clicked:token_seq",
    "search": "search_id:token user_id:token timestamp:float query_id:token query_from_type:token clicked:token_seq "
    "split:token",
    "query": "query_id:token query:token_seq",
}
# u clicks a (from its window), then b in r1; searches; and is tested at r2, where c was shown in training and d never
LINES = {
    "inter": [
        "u|a|99|w|window|train",
        "u|b|100|r1|rec|train",
        "u|c|201|r2|rec|test",
        "u|d|202|r2|rec|test",
        "u|a|203|r2|rec|test",
        "u|b|204|r2|rec|test",
        "v|e|300|s2|search|valid",
    ],
    "request": ["r1|u|100|train|a|b c|1 2|b", "r2|u|200|test||a b c d|1 2 3 4|a b c d"],
    "search": ["s1|u|170|q0|2||train", "s2|v|299|q1|0|e|valid", "s3|v|300||8||valid"],
    "query": ["q0|为 什 么 ？", "q1|a"],
}


def write(folder, lines=LINES):
    for kind, rows in lines.items():
        text = [HEADERS[kind].replace(" ", "\t"), *(row.replace("|", "\t") for row in rows)]
        (folder / f"x.{kind}").write_text("\n".join(text) + "\n", encoding="utf-8")
    return folder


def page(folder, stem, meta):
    return report.page(Holdings.read(folder, stem), stem, meta)


def rows(html, heading):
    """The cells of the table in the section under a heading."""
    section = html.partition(f"<h2>{heading}</h2>")[2].partition("</section>")[0]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", section)]


def numbers(html, title):
    """The numbers of a chart, label by label."""
    figure = html.partition(f"<h3>{title}</h3>")[2].partition("</figure>")[0]
    table = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", figure)]
    return {row[0]: [cell.replace("\u202f", "") for cell in row[1:]] for row in table}


def test_counts_per_split(tmp_path):
    assert rows(page(write(tmp_path), "x", META), "Splits") == [
        ["Number of", "Training", "Validation", "Test", "All"],
        ["Requests", "1", "0", "1", "2"],
        ["Clicks in the feed", "1", "0", "4", "5"],
        ["Clicks after a search", "0", "1", "0", "1"],
        ["Clicks in windows alone", "1", "0", "0", "1"],
        ["Searches", "1", "2", "0", "3"],
        ["Users with a click", "1", "1", "1", "2"],
        ["Notes clicked", "1", "1", "4", "5"],
    ]


def test_charts_hold_what_the_files_hold(tmp_path):
    html = page(write(tmp_path), "x", META)
    assert numbers(html, "Clicks per request")["1"] == ["100.0%", "0.0%"]
    assert numbers(html, "Clicks per request")["4"] == ["0.0%", "100.0%"]
    assert numbers(html, "Candidates per request")["1–5"] == ["100.0%", "100.0%"]
    assert numbers(html, "Events per user")["1–2"] == ["1", "2"]  # v clicks once and searches twice, u searches once
    assert numbers(html, "Events per user")["3–9"] == ["1", "0"]  # u's six clicks
    assert numbers(html, "History at test requests")["1–4"] == ["100.0%", "0.0%"]  # a and b; the window was empty
    assert numbers(html, "History at test requests")["0"] == ["0.0%", "100.0%"]
    assert numbers(html, "Popularity")["2"] == ["20.0%", "33.3%"]  # b alone: 2 of 6 logged clicks
    assert numbers(html, "Requests with a visible search")["5 min"] == ["0.0%", "–", "100.0%"]
    assert numbers(html, "Query length")["4"] == ["50.0%"]
    assert rows(html, "Searches")[-1] == ["other", "1", "33.3\u202f%"]


def test_cold_notes_lack_more_and_more(tmp_path):
    held = Holdings.read(write(tmp_path), "x")
    # of a, b, c, d: only b was clicked in training, a was in a window, and b and c were shown
    assert holdings.cold(held, ["train"]) == {"no click": 0.75, "no click, no window": 0.5, "never shown": 0.5}


def test_arrivals_are_in_the_hours_of_beijing(tmp_path):
    lines = LINES | {"request": [f"r{i}|u|{time}|train||a||a" for i, time in enumerate((0, 3599, 3600, 86_399))]}
    html = page(write(tmp_path, lines), "x", META)
    assert [row[0] for row in numbers(html, "Arrivals per hour").values()][1:] == ["2", "1", *["0"] * 21, "1"]
    later = page(tmp_path, "x", META | {"time_origin": ORIGIN + 3600})  # time 0 is then one o'clock
    assert [row[0] for row in numbers(later, "Arrivals per hour").values()][1:] == ["1", "2", "1", *["0"] * 21]


def frame(*pairs):
    return pl.DataFrame(pairs, {"user_id": pl.String, "timestamp": pl.Int64}, orient="row")


def test_a_click_in_the_same_second_is_not_known_before():
    clicks = frame(("u", 1), ("u", 5), ("u", 5), ("u", 9), ("v", 2))
    assert holdings.known_before(frame(("u", 5), ("u", 6), ("v", 2), ("w", 7)), clicks).to_list() == [1, 3, 0, 0]


def test_a_search_in_the_same_second_is_not_before():
    requests = frame(("u", 5), ("u", 15), ("v", 15)).with_columns(split=pl.lit("test"))
    searches = frame(("u", 5), ("v", 1), ("v", 12), ("v", 99))
    assert holdings.since_search(requests, searches)["seconds"].to_list() == [None, 10, 3]


def test_users_without_events_count():
    users = pl.Series(["u", "v", "u"])
    assert sorted(holdings.events_per_user(frame(("u", 1), ("u", 2)), users)) == [0, 2]


@given(st.lists(st.integers(0, 300)), st.sets(st.integers(1, 200), min_size=1))
def test_every_value_is_in_one_bin(values, inner):
    edges = [0, *sorted(inner)]
    counted = holdings.binned(pl.Series(values, dtype=pl.Int64), edges)
    assert sum(counted) == len(values)
    assert len(holdings.bin_labels(edges)) == len(counted)
    assert counted[-1] == sum(value >= edges[-1] for value in values)


def test_bins_say_what_they_hold():
    assert holdings.bin_labels([0, 1, 2, 5]) == ["0", "1", "2–4", "5+"]


@pytest.mark.parametrize("kinds", product((True, False), repeat=4))
def test_empty_files_give_a_page(tmp_path, kinds):
    filled = {kind: LINES[kind] if full else [] for kind, full in zip(LINES, kinds, strict=True)}
    assert page(write(tmp_path, filled), "x", META).count("<svg") == 9


def test_a_data_set_without_searches_gives_a_page(tmp_path):
    html = page(write(tmp_path, {kind: LINES[kind] for kind in ("inter", "request")}), "x", META)
    assert set(map(tuple, list(numbers(html, "Query length").values())[1:])) == {("–",)}
    assert "no data" in html


def test_a_split_that_holds_out_clicks_alone_gives_a_page(tmp_path):
    lines = {"inter": ["u|a|1|r|rec|train", "u|b|2|r|rec|valid", "u|c|3|r|rec|test", "v|a|5|r2|rec|test"]}
    html = page(write(tmp_path, lines | {"request": ["r|u|1|train||a b c||a b c"]}), "x", META)
    assert numbers(html, "History at test requests")["1–4"] == ["50.0%", "–"]
    assert numbers(html, "History at test requests")["0"] == ["50.0%", "–"]
    assert numbers(html, "Cold notes among test clicks")["no click"] == ["50.0%", "50.0%"]


def test_what_is_left_out_appears_by_itself(tmp_path):
    counts = {
        "dropped_skewed": {"dqa": 0, "search_train": 1200},
        "dropped_for_a_new_reason": {"dqa": 0},
        "skipped": {"recommendation_test": {"row 7": 1, "row 8": 2}},
        "users": {"all": 2, "test": 1},
        "notes": 24,
    }
    html = page(write(tmp_path), "x", META | {"counts": counts})
    assert rows(html, "What was left out, and why")[1:] == [
        ["Requests dropped: the clock of the device shows another day", "1,200"],
        ["\u2003search train", "1,200"],
        ["Dropped for a new reason", "0"],
        ["Skipped", "3"],
        ["\u2003recommendation test: row 7", "1"],
        ["\u2003recommendation test: row 8", "2"],
    ]
    assert rows(html, "Everything else that was counted")[1:] == [
        ["Users", ""],
        ["\u2003all", "2"],
        ["\u2003test", "1"],
        ["Notes", "24"],
    ]


def test_options_and_clock_appear_by_themselves(tmp_path):
    clock = {"verdict": "agrees", "pairs": {"search before rec": 1234}}
    html = page(write(tmp_path), "x", META | {"options": {"dedup": True, "split": "temporal"}, "clock": clock})
    for name, value in [
        ("Options: dedup", "yes"),
        ("Options: split", "temporal"),
        ("Verdict", "agrees"),
        ("Pairs: search before rec", "1,234"),
        ("Time origin", f"2024-11-27 00:00 Beijing time (Unix time {ORIGIN})"),
        ("Search offset", "28,800 s (8 h)"),
    ]:
        assert f"<dt>{name}</dt><dd>{value}</dd>" in html
    assert "not compared" not in html
    assert "not compared" in page(tmp_path, "x", META)


def test_synthetic_data_is_announced_loudly(tmp_path):
    html = page(write(tmp_path), "x", META | {"synthetic": {"scale": 0.02}})
    assert re.search(r'<div class="banner" role="note"><strong>Synthetic data</strong>.*scale 0.02', html)
    assert 'class="banner"' not in page(tmp_path, "x", META)


def test_hostile_names_stay_text(tmp_path):
    name = "<script>alert(1)</script>\"'&"
    lines = LINES | {"inter": [f"u|a|1|r|{name}|{name}"]}
    meta = {"source": name, "synthetic": {name: name}, "counts": {name: {name: 1}}, "clock": {name: name}}
    html = page(write(tmp_path, lines), "x", meta | {name: name, "sha256": {name: name}})
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 10


def test_a_file_without_a_field_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / "x.search").write_text("search_id:token\tuser_id:token\n")
    with pytest.raises(InputError, match=r"x\.search: no field 'timestamp'"):
        page(tmp_path, "x", META)


def test_a_conversion_gives_a_page_that_needs_nothing_else(raw, tmp_path):
    output = tmp_path / "tiny"
    meta = convert(raw(), output, Options(valid_fraction=0.5))
    html = page(output, "tiny", json.loads((output / "tiny.meta.json").read_text(encoding="utf-8")))
    assert html == page(output, "tiny", meta)
    assert not re.search(r"https?:|src=|url\(|@import|<script", html)
    assert f"<dt>tiny.inter</dt><dd>{meta['sha256']['tiny.inter']}</dd>" in html
