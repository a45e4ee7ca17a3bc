"""Runs of a project on a server: wandb's own client, asked of a server on loopback."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb_fake import node, serving

from recsys.__main__ import main
from recsys.errors import InputError
from recsys.experiments import read_project, server

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
