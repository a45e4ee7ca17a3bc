"""The page about runs: it says what the comparison says, in every browser, and needs nothing from elsewhere."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from chromium import PROGRAM, Chromium

from recsys.__main__ import main
from recsys.errors import InputError
from recsys.experiments import Run, compare, find_runs, report
from recsys.experiments.report.apart import reasons
from recsys.experiments.report.group import Group
from recsys.experiments.report.names import names
from recsys.experiments.report.settings import differing

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
        settings = f"name: {name}\nmodel:\n  {'long_' * 20}: 1\n  dim: {round(100 * mean)}\ndata: {{}}\ntrainer: {{}}\n"
        (folder / "config.yaml").write_text(settings)
        return folder

    return make


@pytest.fixture
def three(write: Write) -> list[Run]:
    return find_runs([write("a", 0.3), write("b", 0.5, "BERT4Rec"), write("c", 0.4, "SearchSASRec")])


def text(markup: str) -> str:
    return re.sub(r"<[^>]+>", " ", markup)


def section(page: str, heading: str) -> str:
    return page.partition(f"<h2>{heading}</h2>")[2].partition("</section>")[0]


def test_the_leaderboard_says_what_the_comparison_says(three: list[Run]) -> None:
    board = text(section(report(three, METRICS), "Leaderboard"))
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
    page = report(three, METRICS, three[0])
    said = text(section(page, "Differences"))
    assert "Difference to SASRec, ndcg@10" in said
    assert "Difference to SASRec, exposed/ndcg@10" in said
    assert said.count("&lt; 0.001") == 8  # two metrics of two runs by two tests
    assert said.count("better") == 4
    assert "corrected by Holm&#x27;s method" in page


def test_equal_runs_are_not_told_apart(write: Write) -> None:
    page = report(find_runs([write("a", 0.3), write("b", 0.3, "BERT4Rec")]), METRICS[:1])
    assert "not told apart" in section(page, "Differences")


def test_what_cannot_be_compared_stands_apart_with_the_reason(write: Write) -> None:
    folders = [
        write("a", 0.3),
        write("b", 0.9, "BERT4Rec", exclude_seen=True),
        write("c", 0.5, fingerprint="e" * 64),
        write("d", 0.5, "HSTU", data="other", data_fingerprint="d"),
    ]
    page = report(find_runs(folders), METRICS[:1])
    why = text(section(page, "4 rankings, and why"))
    assert "exclude seen: yes, not no" in why
    assert "other files by the name of tiny (eeeeeeee, not ffffffff)" in why
    assert "data: other, not tiny" in why
    assert page.count("<h2>Leaderboard</h2>") == 4
    anchors = re.findall(r' id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(anchors)


def test_runs_without_a_place_are_listed_with_the_reason(write: Write, tmp_path: Path) -> None:
    tested, other = write("a", 0.3), write("b", 0.4)
    (other / "test.json").unlink()
    (other / "test_requests.parquet").unlink()
    page = report(find_runs([tested, other]), METRICS)
    left = text(section(page, "Not ranked"))
    assert "b/20260101-000000" in left
    assert "unfinished" in left
    assert "1 run on tiny" in page


def test_a_run_has_one_name_and_one_colour_throughout(three: list[Run]) -> None:
    page = report(three, METRICS)
    keys = re.findall(r'<span class="key (?:line |dot )?(c\d)[^"]*"></span>(?:<span>)?(?:<a [^>]*>)?(\w+)', page)
    assert len(keys) > 12
    assert {name: {hue for hue, other in keys if other == name} for _, name in keys} == {
        "BERT4Rec": {"c0"},
        "SearchSASRec": {"c1"},
        "SASRec": {"c2"},
    }


def test_of_many_runs_the_best_and_the_baseline_have_colours(write: Write) -> None:
    runs = find_runs([write(f"r{i}", 0.1 + i / 20) for i in range(9)])
    (rows,) = compare(runs, "ndcg@10", runs[0])
    group = Group({"ndcg@10": rows}, names(runs))
    assert [run.folder.parent.name for run in group.drawn] == ["r8", "r7", "r6", "r5", "r4", "r0"]
    page = report(runs, METRICS[:1], runs[0])
    assert page.count('class="card"') == 9


def test_charts_hold_what_the_runs_measured(three: list[Run]) -> None:
    page = report(three, METRICS)
    titles = re.findall(r"<h3>(.*?)</h3>", page)
    for title in ("ndcg@k, full ranking", "ndcg@k, exposed items", "ndcg@10 against coverage", "By slice, ndcg@10"):
        assert title in titles
    slices = page.partition("<h3>By slice, ndcg@10</h3>")[2].partition("</figure>")[0]
    assert "newcomers (12 requests)" in slices
    coverage = page.partition("<h3>ndcg@10 against coverage</h3>")[2].partition("</figure>")[0]
    assert "popularity" in coverage


def test_learning_curves_are_those_of_the_runs(three: list[Run]) -> None:
    curves = {"val/ndcg@10": [(10, 0.1), (20, 0.3)], "train/loss_epoch": [(10, 7.0), (20, 6.0)]}
    page = report([replace(run, read_curves=lambda: curves) for run in three], METRICS)
    learning = section(page, "Learning")
    assert learning.count("<polyline") == 6
    assert "from 7 to 6." in learning
    assert "<h2>Learning</h2>" not in report(three, METRICS)  # nothing was logged


def test_only_settings_that_differ_are_shown(three: list[Run]) -> None:
    assert differing(three) == {"model.dim": [30, 50, 40]}
    assert "dim" in section(report(three, METRICS), "Settings that differ")


def test_names_are_as_short_as_they_can_be_told_apart_by(write: Write) -> None:
    runs = find_runs([write("a", 0.3), write("b", 0.4, "BERT4Rec"), write("c", 0.5, "BERT4Rec")])
    assert list(names(runs).values()) == ["SASRec", "b", "c"]
    alike = [replace(runs[0], folder=Path("a") / time, name=f"a/{time}") for time in ("one", "two")]
    assert list(names(alike).values()) == ["SASRec, one", "SASRec, two"]
    tuned = [replace(run, config={"model.dim": 8 * i, "name": i}) for i, run in enumerate(alike)]
    assert list(names(tuned).values()) == ["SASRec, dim 0", "SASRec, dim 8"]
    seeds = [replace(run, config={"seed_everything": i, "model.dim": i}) for i, run in enumerate(alike)]
    assert list(names(seeds).values()) == ["SASRec, seed 0", "SASRec, seed 1"]


def test_equal_protocols_give_no_reason(three: list[Run]) -> None:
    assert reasons(three[0], three[1], METRICS) == []


def test_nothing_that_a_run_says_of_itself_becomes_markup(write: Write) -> None:
    runs = find_runs([write("a", 0.3, HOSTILE, data=HOSTILE), write("b", 0.2, slices={HOSTILE: {"requests": 1}})])
    page = report(runs, METRICS)
    assert "<script" not in page
    assert "<img" not in page


def test_a_page_needs_nothing_from_elsewhere(three: list[Run]) -> None:
    page = report(three, METRICS)
    assert not re.search(r"https?:|src=|url\(|@import|<script", page)
    assert report(three, METRICS) == page


def test_the_command_writes_one_file(three: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(run.folder) for run in three]
    output = tmp_path / "new" / "page.html"
    assert main(["report", *folders, "--output", str(output), "--baseline", "SASRec", "--metric", "ndcg@5"]) == 0
    assert output.read_text("utf-8") == report(three, ["ndcg@5"], three[0])
    assert f"Wrote {output}" in capsys.readouterr().out
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--metric", "ndgc@10"], "Did you mean 'ndcg@10'?"),
        (["--baseline", "GRU4Rec"], "--baseline GRU4Rec: none of a/20260101-000000, b/"),
        (["--output", "."], "--output .: is a folder"),
    ],
)
def test_bad_input_is_one_sentence(
    three: list[Run], given: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(three[0].folder.parents[1])
    assert main(["report", ".", *given]) == 2
    assert said in capsys.readouterr().err
    assert not Path("report.html").exists()


def test_no_run_to_rank_says_why(write: Write) -> None:
    folder = write("a", 0.3)
    (folder / "test_requests.parquet").unlink()
    with pytest.raises(InputError, match=r"1 run, and none to rank by ndcg@10 \(a/.*: no values per request here\)"):
        report(find_runs([folder]), METRICS[:1])


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
    page.write_text(report(three, METRICS), "utf-8")
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


def test_a_link_of_the_leaderboard_opens_the_runs_card(write: Write, browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(report(find_runs([write(f"r{i}", 0.1 + i / 20) for i in range(6)]), METRICS[:1]), "utf-8")
    tab = browser.open(page.as_uri(), 1440)
    assert tab.evaluate("document.querySelector('#run-1').checkVisibility({contentVisibilityAuto: true})") is False
    tab.evaluate("document.querySelector('a[href=\"#run-1\"]').click()")
    assert tab.evaluate("document.querySelector('#run-1').closest('details').open") is True


def test_it_prints(three: list[Run], browser: Chromium, tmp_path: Path) -> None:
    page, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(report(three, METRICS), "utf-8")
    browser.open(page.as_uri(), 1440, dark=True).pdf(paper)
    assert paper.read_bytes().startswith(b"%PDF")
