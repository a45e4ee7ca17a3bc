"""The page about runs: it says what the comparison says, in every browser, and needs nothing from elsewhere."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from chromium import PROGRAM, Chromium

from recsys.__main__ import main
from recsys.experiments import Run, compare, comparison, find_runs, report
from recsys.experiments.report.names import names
from recsys.experiments.report.ranking import Ranking, better, curve, over

Write = Callable[..., Path]
ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "report"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"
METRICS = ["ndcg@10", "exposed/ndcg@10"]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A run as `recsys test` leaves it: 60 requests of 20 users, whose values have the given mean."""

    def make(
        name: str,
        mean: float,
        model: str = "SASRec",
        fingerprint: str = "f" * 64,
        exclude_seen: bool = False,
        **changed,
    ) -> Path:
        folder = tmp_path / "runs" / name / "20260101-000000"
        folder.mkdir(parents=True)
        values = np.clip(np.random.default_rng(0).normal(mean, 0.1, 60), 0, 1)
        columns = {f"{prefix}ndcg@{k}": values * k / 10 for prefix in ("", "exposed/") for k in (5, 10)}
        frame = pl.DataFrame(
            {"request_id": [f"r{i}" for i in range(60)], "user_id": [f"u{i % 20}" for i in range(60)], **columns}
        )
        frame.write_parquet(folder / "test_requests.parquet")
        metrics = {f"test/{metric}": float(column.mean()) for metric, column in columns.items()}
        popular = {f"test/popular/{metric}": 0.05 for metric in columns}
        beyond = {"test/popularity@10": 30.0, "test/popular/popularity@10": 90.0}
        part = {
            "requests": 12,
            "users": 9,
            "metrics": metrics | popular,
            "intervals": {metric: [value - 0.1, value + 0.1] for metric, value in metrics.items()},
        }
        result = {
            "model": model,
            "data": "tiny",
            "data_fingerprint": fingerprint,
            "protocol": {"exclude_seen": exclude_seen},
            "protocols": {"full": {"items": 9, "exclude_seen": exclude_seen}},
            "metrics": metrics | popular | beyond,
            "intervals": part["intervals"],
            "catalogue": {"test/coverage@10": 0.5, "test/popular/coverage@10": 0.01},
            "slices": {"newcomers": part},
        }
        (folder / "test.json").write_text(json.dumps(result | changed))
        model = f"model:\n  {'long_' * 20}: 1\n  dim: {round(100 * mean)}\n"
        settings = f"name: {name}\nruns: runs\n{model}data: {{}}\ntrainer: {{}}\n"
        (folder / "config.yaml").write_text(settings)
        return folder

    return make


@pytest.fixture
def three(write: Write) -> list[Run]:
    return find_runs([write("a", 0.3), write("b", 0.5, "BERT4Rec"), write("c", 0.4, "SearchSASRec")])


def page_of(runs: Sequence[Run], metrics: Sequence[str] = METRICS, baseline: str | None = None) -> str:
    return report(comparison(runs, metrics, baseline))


def text(markup: str) -> str:
    return re.sub(r"<[^>]+>", " ", markup)


def section(page: str, heading: str) -> str:
    return page.partition(f"<h2>{heading}</h2>")[2].partition("</section>")[0]


def test_the_leaderboard_says_what_the_comparison_says(three: list[Run]) -> None:
    board = text(section(page_of(three), "Leaderboard"))
    (rows,) = compare(three, "ndcg@10")
    assert [row.run.model for row in rows] == ["BERT4Rec", "SearchSASRec", "SASRec"]
    places = [board.index(f" {row.run.model} ") for row in rows]
    assert places == sorted(places)
    for row in rows:
        assert f"{row.value.mean:.4f} [{row.value.low:.4f}, {row.value.high:.4f}]" in " ".join(board.split())
        if row.difference:
            assert f"{row.difference.mean:+.4f}" in board
    assert "popularity" in board


def test_the_differences_have_their_p_values(three: list[Run]) -> None:
    page = page_of(three, baseline="SASRec")
    said = text(section(page, "Differences"))
    assert "Difference to SASRec, ndcg@10" in said
    assert "Difference to SASRec, exposed/ndcg@10" in said
    assert said.count("&lt; 0.001") == 8  # two metrics of two runs by two tests
    assert said.count("better") == 4
    assert "corrected by Holm&#x27;s method" in page


def test_equal_runs_are_not_told_apart(write: Write) -> None:
    page = page_of(find_runs([write("a", 0.3), write("b", 0.3, "BERT4Rec")]), METRICS[:1])
    assert "not told apart" in section(page, "Differences")


def test_what_cannot_be_compared_stands_apart_with_the_reason(write: Write) -> None:
    folders = [
        write("a", 0.3),
        write("b", 0.9, "BERT4Rec", exclude_seen=True),
        write("c", 0.5, fingerprint="e" * 64),
        write("d", 0.5, "HSTU", data="other", data_fingerprint="d"),
    ]
    page = page_of(find_runs(folders), METRICS[:1])
    why = text(section(page, "4 rankings, and why"))
    assert "other protocol of ndcg@10: exclude seen True instead of False" in why
    assert "other data: tiny (eeeeeeee) instead of tiny (ffffffff)" in why
    assert "other data: other (d) instead of tiny (ffffffff)" in why
    assert page.count("<h2>Leaderboard</h2>") == 4
    anchors = re.findall(r' id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(anchors)


def test_runs_without_a_place_are_listed_with_the_reason(write: Write, tmp_path: Path) -> None:
    tested, other = write("a", 0.3), write("b", 0.4)
    (other / "test.json").unlink()
    (other / "test_requests.parquet").unlink()
    page = page_of(find_runs([tested, other]), METRICS)
    left = text(section(page, "Not ranked"))
    assert "b/20260101-000000" in left
    assert "unfinished, without ndcg@10" in left
    assert "1 run on tiny" in page


def test_a_run_has_one_name_and_one_colour_throughout(three: list[Run]) -> None:
    page = page_of(three)
    keys = re.findall(r'<span class="key (?:line |dot )?(c\d)[^"]*"></span>(?:<span>)?(?:<a [^>]*>)?(\w+)', page)
    assert len(keys) > 12
    assert {name: {hue for hue, other in keys if other == name} for _, name in keys} == {
        "BERT4Rec": {"c0"},
        "SearchSASRec": {"c1"},
        "SASRec": {"c2"},
    }


def test_of_many_runs_the_best_and_the_baseline_have_colours(write: Write) -> None:
    found = comparison(find_runs([write(f"r{i}", 0.1 + i / 20) for i in range(9)]), METRICS[:1], "r0")
    ranking = Ranking(found.groups[0])
    assert [row.run.folder.parent.name for row in ranking.drawn] == ["r8", "r7", "r6", "r5", "r4", "r0"]
    assert report(found).count('class="card"') == 9


def test_seeds_of_a_setting_are_one_row_with_a_card_each(write: Write) -> None:
    for seed, mean in enumerate((0.2, 0.3, 0.4)):
        folder = write(f"s{seed}", mean)
        settings = (folder / "config.yaml").read_text()
        settings = re.sub(r"dim: \d+", "dim: 1", settings)
        (folder / "config.yaml").write_text(f"seed_everything: {seed}\n{settings}")
    other = write("other", 0.5, "BERT4Rec")
    page = page_of(find_runs([other.parents[1]]), METRICS[:1])
    board = text(section(page, "Leaderboard"))
    assert "3 seeds, ±" in board
    assert "single seed" in board
    assert section(page, "Runs").count('class="card"') == 4
    assert "SASRec, seed 2" in section(page, "Runs")
    assert "is best of 2 settings" in page


def test_of_several_seeds_charts_show_mean_lowest_and_highest(three: list[Run]) -> None:
    ((row,),) = compare(three[:1], "ndcg@10")
    values = iter([(0.1, 0.0, 0.2), (0.3, 0.2, 0.4)])
    assert over(replace(row, runs=(three[0], three[1])), lambda run: next(values)) == (0.2, 0.1, 0.3)
    logged = [{"val/x": [(10, 1.0), (20, 2.0)]}, {"val/x": [(10, 3.0)]}]
    seeds = [replace(three[0], read_curves=lambda own=own: own) for own in logged]
    assert curve(replace(row, runs=tuple(seeds)), "val/x") == [(10, 2.0)]


@pytest.mark.parametrize(("metric", "difference", "is_better"), [("ndcg@10", 0.1, True), ("first_rank@10", 0.1, False)])
def test_lower_is_better_for_some_metrics(metric: str, difference: float, is_better: bool) -> None:
    assert better(metric, difference) is is_better
    assert better(metric, -difference) is not is_better


def test_charts_hold_what_the_runs_measured(three: list[Run]) -> None:
    page = page_of(three)
    titles = re.findall(r"<h3>(.*?)</h3>", page)
    for title in ("ndcg@k, full ranking", "ndcg@k, exposed items", "ndcg@10 against coverage", "By slice, ndcg@10"):
        assert title in titles
    slices = page.partition("<h3>By slice, ndcg@10</h3>")[2].partition("</figure>")[0]
    assert "newcomers (12 requests)" in slices
    coverage = page.partition("<h3>ndcg@10 against coverage</h3>")[2].partition("</figure>")[0]
    assert "popularity" in coverage


def late(runs: Sequence[Run]) -> list[Run]:
    """The runs with a slice: 20 requests, of which the second and the third run have gained more than of others."""
    for shift, run in enumerate(runs):
        rows = pl.read_parquet(run.folder / "test_requests.parquet").with_row_index("request")
        gain = pl.when(pl.col("request") < 20).then(0.1 * shift).otherwise(0.0)
        metrics = [name for name in rows.columns if "@" in name]
        rows.with_columns(pl.col(metrics) + gain).write_parquet(run.folder / "test_requests.parquet")
        pl.DataFrame({"request": rows["request"], "late": rows["request"] < 20}).write_parquet(
            run.folder / "test_slices.parquet"
        )
        part = {
            "metrics": {"test/ndcg@10": 0.5, "test/popular/ndcg@10": 0.21, "test/popularity@10": 7.0},
            "requests": 20,
        }
        result = json.loads((run.folder / "test.json").read_text())
        (run.folder / "test.json").write_text(json.dumps(result | {"slices": {"late": part}}))
    return find_runs([run.folder for run in runs])


def test_within_slices_differences_are_paired(three: list[Run]) -> None:
    runs = late(three)
    chart = page_of(runs, METRICS[:1], "SASRec").partition("<h3>Difference to SASRec by slice, ndcg@10</h3>")[2]
    chart = text(chart.partition("</figure>")[0])
    for inside in (None, "late"):
        rows = {row.run.model: row for row in compare(runs, "ndcg@10", runs[0], inside)[0]}
        for model in ("BERT4Rec", "SearchSASRec"):
            mean, low, high = rows[model].difference
            assert f"{mean:.4f} [{low:.4f}, {high:.4f}]" in chart
    assert "by slice" not in page_of(find_runs([run.folder for run in runs[:1]]), METRICS[:1])


def test_a_page_about_a_slice_is_about_its_requests(
    three: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, output = late(three), tmp_path / "page.html"
    folders = [str(run.folder) for run in runs]
    assert main(["report", *folders, "--slice", "late", "--metric", "ndcg@10", "--output", str(output)]) == 0
    page = output.read_text("utf-8")
    (rows,) = compare(runs, "ndcg@10", inside="late")
    board = " ".join(text(section(page, "Leaderboard")).split())
    for row in rows:
        assert f"{row.value.mean:.4f} [{row.value.low:.4f}, {row.value.high:.4f}]" in board
    assert "popularity 0.2100" in board
    assert "Slice “late”" in page
    assert "by ndcg@10 within “late”" in page
    assert re.search(r"Test requests\W+20\b", text(page))
    assert main(["report", *folders, "--slice", "latte"]) == 2
    assert "--slice latte: no such slice in" in capsys.readouterr().err


def many(run: Run, count: int) -> list[Run]:
    """So many runs with other settings, and the values of one."""
    return [
        replace(run, folder=Path(f"many/{i}"), files=run.folder, name=f"many/{i}", config={"model.dim": i})
        for i in range(count)
    ]


def test_of_hundreds_of_runs_the_best_have_whole_cards(three: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("recsys.experiments.report.cards"), "WHOLE", 2)
    page = page_of(many(three[0], 5), METRICS[:1], "many/4")
    shown = section(page, "Runs").split('<details class="card"')[1:]
    assert ["Everything measured" in card for card in shown] == [True, True, False, False, True], "the baseline too"
    assert all("many/" in card for card in shown)
    assert "The 2 best with all that they measured, the other 3 in brief" in page


def test_settings_drawn_at_random_are_called_by_a_few_digits(three: list[Run]) -> None:
    (group,) = comparison(
        [replace(each, config={"model.rate": 0.1 / (i + 3)}) for i, each in enumerate(many(three[0], 2))]
    ).groups
    assert [*names(group.ranked, group.differs).values()] == ["SASRec, rate 0.03333", "SASRec, rate 0.025"]


def test_what_was_not_measured_has_no_figure(three: list[Run]) -> None:
    page = page_of([replace(run, metrics={**run.metrics, "val/ndcg@10": 0.2}) for run in three], ["val/ndcg@10"])
    assert "not tested" in page
    for heading in ("By cutoff", "Beyond accuracy", "For whom"):
        assert f"<h2>{heading}</h2>" not in page


def test_learning_curves_are_those_of_the_runs(three: list[Run]) -> None:
    curves = {"val/ndcg@10": [(10, 0.1), (20, 0.3)], "train/loss_epoch": [(10, 7.0), (20, 6.0)]}
    page = page_of([replace(run, read_curves=lambda: curves) for run in three])
    learning = section(page, "Learning")
    assert learning.count("<polyline") == 6
    assert "from 7 to 6." in learning
    assert "<h3>Validation</h3>" in page_of(
        [replace(run, read_curves=lambda: curves) for run in three], ["exposed/ndcg@10"]
    )
    assert "<h2>Learning</h2>" not in page_of(three)  # nothing was logged


def test_only_settings_that_differ_are_shown(three: list[Run]) -> None:
    shown = section(page_of(three), "Settings that differ")
    assert re.findall(r'<th scope="row">(.*?)</th>', shown) == ["dim"]
    assert re.findall(r"<td>(.*?)</td>", shown) == ["50", "40", "30"]


def test_names_are_as_short_as_they_can_be_told_apart_by(write: Write) -> None:
    def called(runs: Sequence[Run]) -> list[str]:
        (group,) = comparison(runs, METRICS[:1]).groups
        return sorted(names(group.ranked, group.differs).values())

    runs = find_runs([write("a", 0.3), write("b", 0.4, "BERT4Rec"), write("c", 0.5, "BERT4Rec")])
    assert called(runs) == ["SASRec", "b", "c"]
    folders = [write(f"x/{time}", 0.3) for time in ("one", "two")]
    alike = [replace(run, name=f"x/{i}") for i, run in enumerate(find_runs(folders))]
    alike = [replace(run, config={"model.dim": 8 * i}) for i, run in enumerate(alike)]
    assert called(alike) == ["one", "two"]


def test_synthetic_data_is_said_to_be_so(write: Write) -> None:
    folder = write("a", 0.3)
    assert "Synthetic data" not in page_of(find_runs([folder]))
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "config.json").write_text(json.dumps({"model": "SASRec", "data": {"synthetic": True}}))
    assert "Nothing measured on tiny is about real users." in page_of(find_runs([folder]))


def test_nothing_that_a_run_says_of_itself_becomes_markup(write: Write) -> None:
    runs = find_runs([write("a", 0.3, HOSTILE, data=HOSTILE), write("b", 0.2, slices={HOSTILE: {"requests": 1}})])
    page = page_of(runs)
    assert "<script" not in page
    assert "<img" not in page


def test_a_page_needs_nothing_from_elsewhere(three: list[Run]) -> None:
    page = page_of(three)
    assert not re.search(r"https?:|src=|url\(|@import|<script", page)
    assert page_of(three) == page


def test_the_command_writes_one_file(three: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(run.folder) for run in three]
    output = tmp_path / "new" / "page.html"
    assert main(["report", *folders, "--output", str(output), "--baseline", "SASRec", "--metric", "ndcg@5"]) == 0
    assert output.read_text("utf-8") == page_of(three, ["ndcg@5"], "SASRec")
    assert f"Wrote {output}" in capsys.readouterr().out
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--metric", "ndgc@10"], "Did you mean 'ndcg@10'?"),
        (["--baseline", "GRU4Rec"], "--baseline GRU4Rec: none of a/20260101-000000, b/"),
        (["--output", "."], "--output .: is a folder"),
        (["--output", "a/20260101-000000/test.json/page.html"], "page.html: cannot be written ("),
    ],
)
def test_bad_input_is_one_sentence(
    three: list[Run], given: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(three[0].folder.parents[1])
    assert main(["report", ".", *given]) == 2
    assert said in capsys.readouterr().err
    assert not Path("report.html").exists()


def test_runs_without_values_per_request_are_ranked_without_pairs(write: Write) -> None:
    folders = [write("a", 0.3), write("b", 0.4, "BERT4Rec")]
    for folder in folders:
        (folder / "test_requests.parquet").unlink()
    page = page_of(find_runs(folders), METRICS[:1])
    assert "not tested" in section(page, "Differences")
    assert "BERT4Rec is best of 2 settings by ndcg@10" in page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if PROGRAM is None:
        pytest.skip("no Chromium here")
    with Chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_a_browser_shows_it_without_complaint_request_or_overflow(
    three: list[Run], browser: Chromium, tmp_path: Path, width: int, dark: bool
) -> None:
    page = tmp_path / "report.html"
    page.write_text(page_of(three), "utf-8")
    tab = browser.open(page.as_uri(), width, dark=dark)
    assert tab.complaints == []
    assert tab.requests == [page.as_uri()]
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.evaluate("document.querySelectorAll('svg').length") > 10
    tab.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 3 * 128) == dark
    tab.evaluate("document.querySelectorAll('details').forEach(details => details.open = false)")
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = PICTURES / f"{width}-{'dark' if dark else 'light'}.png"
    tab.screenshot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_browser_shows_hundreds_of_runs(three: list[Run], browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(page_of(many(three[0], 200), METRICS[:1]), "utf-8")
    tab = browser.open(page.as_uri(), 390)
    assert tab.complaints == []
    assert tab.requests == [page.as_uri()]
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    assert tab.evaluate("document.querySelectorAll('.card').length") == 200
    assert page.stat().st_size < 3e6


def test_a_link_of_the_leaderboard_opens_the_runs_card(write: Write, browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(page_of(find_runs([write(f"r{i}", 0.1 + i / 20) for i in range(6)]), METRICS[:1]), "utf-8")
    tab = browser.open(page.as_uri(), 1440)
    assert tab.evaluate("document.querySelector('#run-1').checkVisibility({contentVisibilityAuto: true})") is False
    tab.evaluate("document.querySelector('a[href=\"#run-1\"]').click()")
    assert tab.evaluate("document.querySelector('#run-1').closest('details').open") is True


def test_it_prints(three: list[Run], browser: Chromium, tmp_path: Path) -> None:
    page, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(page_of(three), "utf-8")
    browser.open(page.as_uri(), 1440, dark=True).pdf(paper)
    assert paper.read_bytes().startswith(b"%PDF")
