import polars as pl
import pytest
from qilin_tiny import rec, search, shown, tiny, write_config

from recsys.__main__ import main
from recsys.errors import InputError
from recsys.qilin import findings, synthesize
from recsys.qilin.check import check, verdict
from recsys.qilin.release import NUMBERS, ROWS
from recsys.qilin.schema import NEEDS
from recsys.qilin.timeline import CHANNELS

CLOCK = "offset of the search clock"


@pytest.fixture
def look(raw):
    """Findings by name on the six requests, with the given configurations replaced."""
    return lambda **replaced: {finding.name: finding for finding in check(raw(**replaced))}


def status(found, name):
    return found[name].status


def test_nothing_is_wrong_with_six_sound_requests(look):
    found = look()
    assert [finding.name for finding in found.values() if finding.status == "wrong"] == []
    assert found["users"].found == "2, all in user_feat"
    assert found["times of recommendation_train"].found == "00:16:40 to 00:33:20, 0.0% outside the day"
    assert found["times of search_test"].found == "22:05:00 to 22:05:00, 0.0% outside the day"
    assert found["training after the test begins"].found == "0.0% of 2, testing begins at 22:13:20"
    assert found["missing in search_test"].found == "query_from_type 1"
    assert found["missing in notes"].found == "taxonomy1_id 100.0%, taxonomy2_id 100.0%, taxonomy3_id 100.0% 'nan'"
    assert found["rows without a click"].found == "dqa 1"


def test_rows():
    for config, count in ROWS.items():
        assert findings.rows(config, count).status == "as published"
        assert findings.rows(config, count - 1).status == "differs"
    assert findings.rows("dqa", None).status == findings.rows("dqa", 0).status == "differs"
    assert findings.rows("search_test", 0).status == "wrong"


def test_the_release_has_as_many_numbers_as_rows():
    assert {config: high - low + 1 for config, (low, high) in NUMBERS.items()} == {c: ROWS[c] for c in CHANNELS}


def test_optional_configurations_may_be_absent(look):
    found = look(dqa=None, user_feat=None)
    assert {status(found, name) for name in ("rows of dqa", "rows of user_feat", "users")} == {"differs"}


def test_a_missing_column_or_field_is_all_that_is_found(raw):
    root = raw()
    path = next((root / "search_train").glob("*.parquet"))
    frame = pl.read_parquet(path)
    details = pl.col("search_result_details_with_idx")
    frame.drop("query").with_columns(
        details.list.eval(pl.element().struct.rename_fields(list("abcdefghi")))
    ).write_parquet(path)
    found = check(root)
    assert {(finding.name, finding.status) for finding in found} == {("columns", "wrong")}
    assert f"{path}: no column 'query'." in found[0].hint
    assert "have no 'note_idx'" in found[1].hint


def test_a_truncated_file_is_named(raw):
    root = raw()
    path = next((root / "notes").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"train-00000-of-00001\.parquet: not a complete parquet file"):
        check(root)


def test_note_numbers(look, raw):
    rows = tiny()["notes"]
    assert status(look(), "note_idx of notes") == "as published"
    assert status(look(notes=rows[::-1]), "note_idx of notes") == "differs"
    assert status(look(notes=rows + rows[3:4]), "note_idx of notes") == "wrong"
    assert status(look(notes=[*rows, {"note_idx": None}]), "note_idx of notes") == "wrong"


def test_notes_are_numbered_over_all_files(raw):
    root = raw(notes=None)
    write_config(root, "notes", tiny()["notes"][:10], "train-00000-of-00002")
    write_config(root, "notes", tiny()["notes"][10:], "train-00001-of-00002")
    found = {finding.name: finding for finding in check(root)}
    assert (found["note_idx of notes"].found, found["rows of notes"].found) == ("0 to 23", "24")


def test_shown_and_remembered_notes_are_among_the_notes(look):
    name, rows = "notes shown or in windows", tiny()["notes"]
    assert status(look(), name) == "as published"
    assert status(look(notes=rows[:23]), name) == "wrong"  # 23 was shown in dqa
    assert look(notes=rows[:23])[name].found == "1 of 18 are not in notes, e.g. 23"
    assert status(look(notes=rows[:1] + rows[2:]), name) == "wrong"  # 1 stands in a window
    assert status(look(notes=rows[:5]), name) == "differs"  # a sample
    assert status(look(dqa=[search(2, 0, "why", [shown(-1, 900)])]), name) == "wrong"


def test_users(look):
    rows = tiny()["user_feat"]
    assert status(look(), "users") == "as published"
    assert status(look(user_feat=rows[:1]), "users") == "differs"
    assert status(look(user_feat=rows + rows), "users") == "wrong"
    assert status(look(dqa=[search(2, -1, "why", [shown(23, 900)])]), "users") == "wrong"


def test_request_numbers_recur_nowhere_in_a_channel(look):
    again = rec(1, 1, [shown(14, 80_000, click=1)])
    assert status(look(), "request_idx") == "differs"  # their numbers are not the release's
    found = look(recommendation_test=[rec(9, 1, [shown(14, 80_000)]), again])
    assert status(found, "request_idx") == "wrong"
    assert "recommendation_test/train-00000-of-00001.parquet: row 1 has 1 again" in found["request_idx"].hint
    assert status(found, "search_idx") == "differs"  # though 1 is a search as well


def test_the_releases_own_request_numbers():
    for names, column in ((list(NUMBERS)[:2], "request_idx"), (list(NUMBERS)[2:], "search_idx")):
        rows = [(config, index) for config in names for index in NUMBERS[config]]
        requests = pl.DataFrame(rows, ["config", "index"], orient="row")
        assert findings.request_numbers(requests, column).status == "as published"


@pytest.mark.parametrize(
    ("row", "lacks"),
    [
        (rec(None, 1, [shown(14, 80_000)]), "index 1"),
        (rec(3, None, [shown(14, 80_000)]), "user_idx 1"),
        (rec(3, 1, []), "exposures (whole list) 1"),
        (rec(3, 1, None), "exposures (whole list) 1"),
        (rec(3, 1, [shown(14, 80_000), shown(None, 80_000)]), "note_idx 1"),
        (rec(3, 1, [shown(14, 80_000), shown(15, 80_000) | {"request_timestamp": None}]), "timestamp 1"),
    ],
)
def test_a_row_without_what_it_needs_is_named(look, row, lacks):
    found = look(recommendation_test=[*tiny()["recommendation_test"], row])["missing in recommendation_test"]
    assert found.status == "wrong"
    assert lacks in found.found
    assert "row 1 (from 0) of " in found.hint
    assert "recommendation_test/train-00000-of-00001.parquet" in found.hint


def test_other_gaps_are_counted(look):
    rows = [search(5, 0, "", [shown(20, 10, click=None)]), search(6, 0, None, [shown(20, 10, position=None)], (1,))]
    found = look(search_train=rows)["missing in search_train"]
    assert found.status == "as published"
    assert found.found == "query 1, windows (empty) 1, click 1, position 1, query (empty) 1"


def test_a_text_column_that_is_empty_throughout():
    texts = findings.missing_texts("notes", {"note_title": 1, "taxonomy1_id": 4}, {"taxonomy1_id": 0}, 4)
    assert (texts.status, texts.found) == ("differs", "note_title 25.0%, taxonomy1_id 100.0%")
    assert findings.missing_texts("notes", {"note_title": 3}, {"note_title": 1}, 4).status == "as published"


def exposures(*rows: tuple[int, int, int], config="recommendation_test") -> pl.DataFrame:
    frame = pl.DataFrame(rows, {"request": pl.UInt32, "note_idx": pl.Int64, "click": pl.Int64}, orient="row")
    return frame.with_columns(config=pl.lit(config))


def test_positives_of_the_test():
    clicks = [(0, note, 1) for note in range(44_683)]
    repeated = findings.positives(exposures(*clicks, (0, 5, 1), (0, 6, 1), (0, 7, 0)))
    assert (repeated.status, repeated.found) == ("as published", "44,685, 2 of them repeated")
    assert findings.positives(exposures(*clicks, (0, 5, 1), (0, -1, 1))).status == "differs"
    assert findings.positives(exposures(*clicks, (0, 5, 1), (0, 6, 1), config="search_test")).status == "differs"


def test_only_questions_go_without_a_click():
    requests = pl.DataFrame({"request": pl.int_range(1_000, dtype=pl.UInt32, eager=True)})
    requests = requests.with_columns(config=pl.lit("dqa"))
    for without, expected in ((955, "as published"), (954, "differs")):
        clicks = exposures(*((request, 1, int(request >= without)) for request in range(1_000)), config="dqa")
        found = findings.clickless(requests, clicks)
        assert (found.status, found.found, found.hint) == (expected, f"dqa {without}", "")
    found = findings.clickless(requests.with_columns(config=pl.lit("search_test")), exposures((0, 1, 1)))
    assert (found.status, found.found) == ("differs", "search_test 999")
    assert found.hint


def test_repeated_exposures(look):
    assert status(look(), "repeated exposures") == "differs"
    found = look(recommendation_test=[rec(2, 1, [shown(14, 80_000), shown(14, 80_009, click=1)])])
    assert status(found, "repeated exposures") == "as published"
    assert found["repeated exposures"].found == "recommendation_test 1"


def clicking(windows: list[tuple[int, ...]], start: int = 1000) -> list[dict]:
    """One user's requests, 100 s apart: the i-th clicks 2 i and, 10 s later, 2 i + 1."""
    times = range(start, start + 100 * len(windows), 100)
    return [
        rec(i, 0, [shown(2 * i, time, click=1), shown(2 * i + 1, time + 10, click=1)], window)
        for i, (time, window) in enumerate(zip(times, windows, strict=True))
    ]


def test_own_clicks(look):
    name = "own clicks in windows of recommendation"
    assert look()[name].found == "0.0% of 4"
    assert status(look(), name) == "as published"
    assert status(look(recommendation_train=clicking([(2 * i,) for i in range(20)])), name) == "wrong"
    assert status(look(recommendation_train=clicking([(0,)] + [(200,)] * 19)), name) == "differs"
    assert status(look(recommendation_train=clicking([(0,)])), name) == "differs"  # too few to call it wrong


def test_the_order_of_windows(look):
    name = "windows newest first"
    newest_first = [(), *((2 * i + 1, 2 * i, 99) for i in range(40))]
    found = look(recommendation_train=clicking(newest_first))
    assert (status(found, name), found[name].found) == ("as published", "100.0% of 40 pairs of clicks")
    oldest_first = [window[::-1] for window in newest_first]
    assert status(look(recommendation_train=clicking(oldest_first)), name) == "wrong"
    mixed = [*newest_first[:30], *oldest_first[30:]]
    assert status(look(recommendation_train=clicking(mixed)), name) == "differs"
    assert status(look(recommendation_train=clicking(oldest_first[:9])), name) == "differs"


def one_exposure(count: int, **fields) -> list[dict]:
    return [search(100 + i, 0, "q", [shown(20, 1500 + i, click=1) | fields]) for i in range(count)]


def test_times(look):
    name = "times of search_train"
    found = look(search_train=[*one_exposure(99), search(99, 0, "q", [shown(20, -86_400 + 60, click=1)])])
    assert (status(found, name), found[name].found) == (
        "as published",
        "11-26 00:01:00 to 00:26:38, 1.0% outside the day",
    )
    assert status(look(search_train=[*one_exposure(9), search(99, 0, "q", [shown(20, -60)])]), name) == "differs"
    milliseconds = look(search_train=one_exposure(30, search_timestamp=1_732_700_000_000.0))
    assert status(milliseconds, name) == "wrong"
    assert "1,730,967,334,400 s from the day" in milliseconds[name].found
    assert status(look(search_train=one_exposure(29, search_timestamp=-1.0)), name) == "differs"
    assert status(look(search_train=one_exposure(1, search_timestamp=None)), name) == "wrong"


def test_the_test_is_later_than_training(look):
    name = "training after the test begins"

    def days(train: int, test: int) -> dict:
        return look(
            recommendation_train=[rec(i, 0, [shown(10, train + i)]) for i in range(40)],
            recommendation_test=[rec(100 + i, 0, [shown(10, test + i)]) for i in range(40)],
        )

    overlapping = days(1000, 1030)
    assert (status(overlapping, name), overlapping[name].found[:5]) == ("as published", "25.0%")
    assert status(days(1000, 2000), name) == "differs"
    assert status(days(2000, 1000), name) == "wrong"
    assert status(days(-86_400, 1000), name) == "differs"


def test_sessions(look):
    name = "sessions of both channels"
    assert status(look(), name) == "differs"  # none given
    recommended = [row | {"session_idx": 7} for row in tiny()["recommendation_train"]]
    searched = [row | {"session_idx": 8} for row in tiny()["search_train"]]
    assert status(look(recommendation_train=recommended, search_train=searched), name) == "as published"
    searched[0]["session_idx"] = 7
    assert status(look(recommendation_train=recommended, search_train=searched), name) == "differs"


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds")
    synthesize(folder / "learnable", users=300)
    synthesize(folder / "published", scale=0.02)
    return folder


@pytest.mark.parametrize("world", ["learnable", "published"])
def test_synthetic_qilin_is_fit_and_its_clock_confirmed(worlds, world):
    found = {finding.name: finding for finding in check(worlds / world)}
    assert "wrong" not in {finding.status for finding in found.values()}
    assert found[CLOCK].status == "as published"
    assert found["windows newest first"].status == "as published"
    assert found["origin"].status == "differs"
    assert verdict(list(found.values())).startswith("Qilin's format with other content")


def retimed(world, target, seconds: pl.Expr):
    """A copy of a world whose search clocks read `seconds`, an expression of the one field."""
    target.mkdir()
    for config in NEEDS:
        if config not in CHANNELS or CHANNELS[config].source == "rec":
            (target / config).symlink_to(world / config)
            continue
        (target / config).mkdir()
        (path,) = (world / config).glob("*.parquet")
        details = pl.col(CHANNELS[config].details)
        clocks = details.list.eval(pl.element().struct.with_fields(search_timestamp=seconds))
        pl.read_parquet(path).with_columns(clocks).write_parquet(target / config / path.name)
    return target


CLOCK_FIELD = pl.field("search_timestamp")


def test_search_clocks_that_need_no_offset_are_contradicted(worlds, tmp_path, capsys):
    root = retimed(worlds / "published", tmp_path / "raw", CLOCK_FIELD - 28_800)
    found = {finding.name: finding for finding in check(root)}
    assert found[CLOCK].status == "wrong"
    assert "but 0 s fits 97" in found[CLOCK].hint
    assert found[CLOCK].hint.endswith("convert with --search-offset 0 to follow the data.")
    assert main(["check", str(root)]) == 2
    shown = capsys.readouterr()
    assert "contradicted" in shown.out
    assert f"{root}: Not fit for conversion: 1 of 32 findings are wrong. Wrong: {CLOCK}." in shown.err


def test_milliseconds_among_seconds_are_contradicted(worlds, tmp_path):
    late = CLOCK_FIELD > 1_732_636_800 + 28_800 + 50_000
    mixed = pl.when(late).then(CLOCK_FIELD * 1000).otherwise(CLOCK_FIELD)
    found = {finding.name: finding for finding in check(retimed(worlds / "published", tmp_path / "raw", mixed))}
    assert found[CLOCK].status == "wrong"
    assert "no common unit" in found[CLOCK].hint
    assert found["times of search_test"].status == "wrong"


def test_the_order_of_rows_and_the_number_of_files_change_nothing(worlds, tmp_path):
    expected = check(worlds / "learnable")
    for config in CHANNELS:
        (tmp_path / config).mkdir()
        (path,) = (worlds / "learnable" / config).glob("*.parquet")
        frame = pl.read_parquet(path).reverse()
        frame[:50].write_parquet(tmp_path / config / "a.parquet")
        frame[50:].write_parquet(tmp_path / config / "b.parquet")
    for config in ("notes", "user_feat"):
        (tmp_path / config).symlink_to(worlds / "learnable" / config)
    assert [finding for finding in expected if finding.name != "origin"] == check(tmp_path)


def test_real_rows_are_a_sample(sample):
    found = {finding.name: finding for finding in check(sample)}
    assert "wrong" not in {finding.status for finding in found.values()}
    assert status(found, CLOCK) == "differs"
    assert found["windows newest first"].found == "100.0% of 8 pairs of clicks"
    assert found["times of search_train"].found == "11-20 21:30:28 to 06:05:16, 80.0% outside the day"
    assert found["times of recommendation_test"].found == "19:14:48 to 21:49:44, 0.0% outside the day"


def test_the_verdict():
    same, other, bad = (findings.Finding("x", status, "", "") for status in ("as published", "differs", "wrong"))
    assert verdict([same, same]) == "This is the Qilin that we know: all 2 findings are as published."
    assert verdict([same, other]).endswith("1 of 2 findings differ.")
    assert verdict([same, other, bad]) == "Not fit for conversion: 1 of 3 findings are wrong."


def test_the_command_prints_a_table_and_the_verdict(raw, capsys):
    assert main(["check", str(raw())]) == 0
    printed = capsys.readouterr()
    assert "rows of recommendation_train" in printed.out
    assert printed.out.splitlines()[-1].startswith("Qilin's format with other content, such as a sample:")
    assert "reading notes" in printed.err


def test_the_command_refuses_a_folder_that_is_none(tmp_path, capsys):
    assert main(["check", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err
