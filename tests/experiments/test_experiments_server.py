"""Runs of a project on a server: wandb's own client, asked of a server on loopback."""

import hashlib
import io
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import wandb
from wandb_fake import node, serving

from recsys.__main__ import main
from recsys.errors import InputError
from recsys.experiments import comparison, fetching, find_runs, read_project, read_runs, server

CONFIG = {"cli": {"model": {"dim": 8}}, "model": "SASRec", "data": "d", "data_fingerprint": "f"}
PROTOCOLS = {"full": {"split": "test", "candidates": "all"}}


def seeds(count: int, dim: int = 8, **more: Any) -> list[dict[str, Any]]:
    """Fit and test of each of `count` seeds."""
    found = []
    for i in range(count):
        config = CONFIG | {"cli": {"model": {"dim": dim}, "seed_everything": i}} | more
        name = f"sasrec-{dim}/{i}"
        fit = node(name, config | {"stage": "fit"}, {"val/ndcg@10": 0.1})
        test = node(name, config | {"stage": "test", "protocols": PROTOCOLS}, {"test/ndcg@10": 0.1 * dim + 0.01 * i})
        found += [
            fit,
            test | {"id": f"{test['id']}-t", "name": f"{test['name']}-t", "createdAt": "2026-01-03T00:00:00Z"},
        ]
    return found


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Have wandb's client ask that address."""

    def call(url: str) -> None:
        wandb.teardown()  # it remembers the server that it was begun with
        monkeypatch.setenv("WANDB_BASE_URL", url)
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)

    yield call
    wandb.teardown()


def test_all_pages_of_a_project_are_read(use: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PAGE", 3)
    with serving([*seeds(4), node("other", {"lr": 0.1}, {"loss": 0.5}, "crashed")]) as (url, asked):
        use(url)
        found = {run.name: run for run in read_project("e/p")}
    assert asked.count("Runs") >= 3
    assert found.keys() == {*(f"sasrec-8/{i}" for i in range(4)), "other"}
    run = found["sasrec-8/2"]
    assert run.metrics == {"val/ndcg@10": 0.1, "test/ndcg@10": pytest.approx(0.82)}
    assert (run.seed, run.state, run.fingerprint, run.model) == (2, "finished", "f", "SASRec")
    assert (found["other"].state, found["other"].config) == ("unfinished", {"lr": 0.1})


def test_projects_are_compared_like_folders(use: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    with serving([*seeds(3), *seeds(3, dim=9), *seeds(1, dim=7, data_fingerprint="g")]) as (url, _):
        use(url)
        assert main(["compare", "e/p", "--baseline", "sasrec-8/0", "--format", "md"]) == 0
    shown = capsys.readouterr().out
    assert "| sasrec-9/0 | SASRec | 0.9100 [0.8852, 0.9348] | +0.1000 [+0.0773, +0.1227] |" in shown
    assert "3, ± 0.0248" in shown
    assert "other data: d (g) instead of d (f)" in shown


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


Files = dict[str, dict[str, bytes]]


def uploads(dims: Mapping[int, float], logged: bool = True) -> tuple[list[dict[str, Any]], Files]:
    """Fit and test of a run of each dim, its values per request shifted by so much, and what the tests uploaded."""
    runs, files = [], Files()
    values, rows = np.random.default_rng(0).random(40), np.arange(40)
    for dim, shift in dims.items():
        fit, test = seeds(1, dim)
        requests = {"request": rows, "request_id": [f"r{i}" for i in rows], "user_id": [f"u{i % 20}" for i in rows]}
        part = {"metrics": {"test/popular/ndcg@10": 0.25}}
        result = {"protocol": {"average": "user"}, "protocols": PROTOCOLS, "slices": {"late": part}}
        found = {
            "test.json": json.dumps(result).encode(),
            "test_requests.parquet": parquet(requests | {"ndcg@10": values + shift}),
            "test_slices.parquet": parquet({"request": rows, "late": rows >= 20}),
        }
        summary = {"test/ndcg@10": values.mean() + shift}
        if logged:
            summary["files"] = [[name, hashlib.sha256(text).hexdigest()] for name, text in found.items()]
        runs += [fit, test | {"summaryMetrics": json.dumps(summary)}]
        files[test["name"]] = found
    return runs, files


def parquet(columns: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


def test_runs_on_a_server_are_paired_as_those_in_folders_are(
    use: Callable[[str], None], tmp_path: Path, cache: Path
) -> None:
    runs, files = uploads({8: 0.0, 9: 0.25})
    for name, found in files.items():
        folder = tmp_path / "runs" / name / "20260101-000000"
        folder.mkdir(parents=True)
        for file, text in found.items():
            (folder / file).write_bytes(text)
    with serving(runs, files=files) as (url, _):
        use(url)
        for inside in (None, "late"):
            (group,) = comparison(read_runs(["e/p"]), ["ndcg@10"], "sasrec-8/0", inside).groups
            (here,) = comparison(find_runs([tmp_path / "runs"]), ["ndcg@10"], inside=inside).groups
            better, base = group.ranked
            assert (better.run.name, better.paired, base.difference) == ("sasrec-9/0", True, None)
            assert tuple(better.difference) == pytest.approx((0.25, 0.25, 0.25))
            assert (better.value, better.p) == (here.ranked[0].value, here.ranked[0].p), "over users, as test.json says"
        assert group.baselines() == {"popularity": {"ndcg@10": 0.25}}, "within the slice"


@pytest.mark.parametrize("logged", [True, False])
def test_what_was_fetched_is_kept(use: Callable[[str], None], cache: Path, logged: bool) -> None:
    """As the run says itself what it has uploaded, nobody has to be asked again."""
    runs, files = uploads({8: 0.0, 9: 0.25}, logged)
    with serving(runs, files=files) as (url, asked):
        use(url)
        for _ in range(2):
            (group,) = comparison(read_project("e/p")).groups
            assert group.ranked[0].paired
    assert len([path for path in asked if path.startswith("/files/")]) == 6
    assert asked.count("RunFiles") == (2 if logged else 4)
    assert len(list(cache.rglob("test_requests.parquet"))) == 2
    assert not list(cache.rglob(".*"))


@pytest.mark.parametrize("logged", [True, False])
def test_what_arrives_damaged_is_not_taken(use: Callable[[str], None], cache: Path, logged: bool) -> None:
    """By the sha256 that the run has logged, or by the MD5 that the server states."""
    runs, files = uploads({8: 0.0, 9: 0.25}, logged)
    with serving(runs, files=files, torn=True) as (url, _):
        use(url)
        found = comparison(read_project("e/p"), baseline="sasrec-8/0")
    assert not found.groups[0].ranked[0].paired
    (note,) = found.warnings
    assert note.endswith("so that nothing is paired with them: test.json arrived damaged.")
    assert not [file for file in cache.rglob("*") if file.is_file()]


@pytest.mark.parametrize("trouble", [{"status": 404}, {"status": 500}, {"delay": 60}])
@pytest.mark.parametrize("at", ["RunFiles", "download"])
def test_a_server_that_gives_no_files_is_not_waited_for(
    use: Callable[[str], None], cache: Path, monkeypatch: pytest.MonkeyPatch, trouble: dict[str, Any], at: str
) -> None:
    monkeypatch.setattr(fetching, "PATIENCE", 1.0)
    runs, files = uploads({8: 0.0, 9: 0.25})
    with serving(runs, files=files, at=at, **trouble) as (url, _):
        use(url)
        started = time.monotonic()
        found = comparison(read_project("e/p"), baseline="sasrec-8/0")
        assert time.monotonic() - started < 40
    (row, _) = found.groups[0].ranked
    assert (row.paired, row.difference.mean) == (False, pytest.approx(0.25))
    (note,) = found.warnings
    assert note.startswith("sasrec-8/0, sasrec-9/0: without values per request, so that nothing is paired with them: ")
    assert "wandb's server" in note


def test_runs_that_uploaded_nothing(use: Callable[[str], None], cache: Path) -> None:
    with serving([*seeds(1), *seeds(1, dim=9)]) as (url, asked):
        use(url)
        found = comparison(read_project("e/p"))
        assert "no values per request are there" in found.warnings[0]
        with pytest.raises(
            InputError, match=r"--slice late: sasrec-8/0, sasrec-9/0: .*no values per request are there"
        ):
            comparison(read_project("e/p"), inside="late")
        asked.clear()
        assert not comparison(read_project("e/p"), ["val/ndcg@10"]).warnings
        assert "RunFiles" not in asked, "validation has none"


def test_a_run_may_not_name_other_files(use: Callable[[str], None], cache: Path) -> None:
    runs, files = uploads({8: 0.0})
    hostile = "../../../evil"
    summary = {"test/ndcg@10": 0.5, "files": [[hostile, "0" * 64], [3], "x"]}
    files["id-sasrec-8-0-t"][hostile] = b"evil"
    with serving([runs[0], runs[1] | {"summaryMetrics": json.dumps(summary)}], files=files) as (url, asked):
        use(url)
        (run,) = read_project("e/p")
        assert len(run.requests()) == 40
    assert not any("evil" in path for path in asked)


@pytest.mark.parametrize("part", ["id-sasrec-9-1", "id-sasrec-9-1-t"])
def test_a_single_run_is_its_fit_and_its_test(use: Callable[[str], None], part: str) -> None:
    with serving(seeds(3, dim=9)) as (url, _):
        use(url)
        (run,) = read_runs([f"e/p/{part}"])
        assert run.metrics == {"val/ndcg@10": 0.1, "test/ndcg@10": pytest.approx(0.91)}
        assert len(read_runs([f"e/p/{part}", "e/p"])) == 3, "the same run, not a fourth"
        with pytest.raises(InputError, match=r"e/p/none: wandb's server says: .*[Cc]ould not find run"):
            read_project("e/p/none")


def test_a_project_that_is_not_there(use: Callable[[str], None]) -> None:
    with serving([]) as (url, _):
        use(url)
        with pytest.raises(InputError, match="e/q: wandb's server says: Could not find project q"):
            read_project("e/q")


def test_a_project_without_runs(use: Callable[[str], None]) -> None:
    with serving([]) as (url, _):
        use(url)
        with pytest.raises(InputError, match="e/p: a project without runs"):
            read_project("e/p")


@pytest.mark.parametrize("trouble", [{"status": 500}, {"delay": 60}])
def test_a_server_with_errors_and_a_slow_one_are_given_up(use: Callable[[str], None], trouble: dict[str, Any]) -> None:
    with serving(seeds(1), **trouble) as (url, _):
        use(url)
        started = time.monotonic()
        with pytest.raises(InputError, match="e/p: wandb's server"):
            read_project("e/p", patience=2)
        assert time.monotonic() - started < 60


def test_no_server_no_folder(use: Callable[[str], None], refused: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    use(url)
    assert f"e/p: no such folder, and no project to look up: {url} does not answer" in refused("compare", "e/p")


def test_without_an_account_a_misspelt_folder_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refused: Callable[..., str]
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert "runs/sarsec: no such folder" in refused("compare", "runs/sarsec")
