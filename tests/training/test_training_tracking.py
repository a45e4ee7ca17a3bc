"""What a run logs and says of itself, and that nothing about wandb can stop or keep it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest
import wandb
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import WandbLogger
from wandb_fake import serving

from recsys import checkpoints
from recsys.experiments import find_runs, uploads
from recsys.experiments.wandb_log import Log, read_log
from recsys.files import sha256
from recsys.training.facts import protocol_hash
from recsys.training.module import SequentialRecommender
from recsys.training.tracking import begin


@pytest.fixture(scope="module")
def tested(zoo) -> Path:
    assert zoo("fit", "tracked", "--trainer.max_epochs", "2", "--model.learning_rate", "0.01") == 0
    assert zoo("test", "tracked", "--tags", "a", "b", "--group", "seeds") == 0
    wandb.teardown()  # which writes the logs out
    (run,) = zoo.folders("tracked")
    return run


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Have wandb log to that address."""

    def use(url: str) -> None:
        wandb.teardown()  # it remembers the server that it was begun with
        monkeypatch.setenv("WANDB_BASE_URL", url)
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)

    yield use
    wandb.teardown()


def logs(run: Path) -> list[Log]:
    """In the order of their beginning; names of folders tell seconds apart, and a fit may take less than one."""
    return sorted(map(read_log, run.glob("wandb/offline-run-*/*.wandb")), key=lambda log: log.started)


def test_a_fit_logs_what_it_takes_to_repeat_and_to_compare_it(tested: Path) -> None:
    fit = logs(tested)[0]
    assert fit.config["stage"] == "fit"
    assert fit.config["cli"]["model"]["network"]["init_args"]["dim"] == 8
    assert len(fit.config["data_fingerprint"]) == 64
    assert fit.config["protocols"]["full"]["split"] == "valid"
    assert fit.config["protocol_hash"] == protocol_hash(fit.config["protocols"])
    said = fit.config["facts"]
    assert said == json.loads((tested / "run.json").read_text())
    assert said["n_parameters"] > said["n_items"] * 8
    assert {"torch", "lightning", "python", "recsys-zoo", "wandb"} <= said["versions"].keys()
    assert (said["device"], said["seed"], said["state"], said["epochs"]) == ("cpu", 0, "finished", 2)
    assert said["throughput"]["users_per_second"] > 0
    assert fit.exit_code == 0


def test_a_test_logs_intervals_and_keeps_the_values_per_request(tested: Path) -> None:
    test = logs(tested)[-1]
    result = json.loads((tested / "test.json").read_text())
    assert (test.config["stage"], test.tags, test.group) == ("test", ["a", "b"], "seeds")
    assert test.summary["intervals"]["test/ndcg@10"] == result["intervals"]["test/ndcg@10"]
    assert test.summary["test/ndcg@10"] == pytest.approx(result["metrics"]["test/ndcg@10"])
    assert test.config["protocols"] == result["protocols"]
    uploaded = {name: sha256(tested / name) for name in uploads.USUAL}
    assert dict(test.summary["files"]) == uploaded
    (kept,) = tested.glob("wandb/offline-run-*/files/test_requests.parquet")
    assert pl.read_parquet(kept).equals(pl.read_parquet(tested / "test_requests.parquet"))


def test_a_tested_run_is_read_back(tested: Path) -> None:
    (run,) = find_runs([tested])
    assert (run.state, run.seed, run.model, run.tested) == ("finished", 0, "SASRec", True)
    assert run.config["model.network.init_args.dim"] == 8
    assert len(run.curves["val/ndcg@10"]) == 2
    assert run.curves["train/loss_epoch"][0][1] > run.curves["train/loss_epoch"][-1][1]
    low, high = run.intervals["test/ndcg@10"]
    assert low <= run.metrics["test/ndcg@10"] <= high


def test_slices_are_kept_request_by_request(tested: Path) -> None:
    (run,) = find_runs([tested])
    rows = run.requests()
    parts = {name: part for name, part in run.slices.items() if part["requests"] < len(rows)}
    assert parts
    for name, part in parts.items():
        inside = run.requests(name)
        assert len(inside) == part["requests"]
        assert inside["ndcg@10"].mean() == pytest.approx(part["metrics"]["test/ndcg@10"])


def test_wandb_disabled_leaves_nothing_and_the_run_is_one_all_the_same(zoo) -> None:
    assert zoo("fit", "quiet", "--wandb", "disabled") == 0
    (folder,) = zoo.folders("quiet")
    assert not (folder / "wandb").exists()
    (run,) = find_runs([folder])
    assert (run.state, run.facts["n_parameters"] > 0) == ("finished", True)


def test_a_flag_for_wandb_without_wandb(zoo, refused: Callable[..., str]) -> None:
    args = zoo.args("fit", "nologger", "--trainer.logger", "false", "--project", "p")
    assert refused(*args) == "--project: trainer.logger is no WandbLogger."


def test_a_refused_fit_names_no_log_that_is_gone(zoo, tested: Path) -> None:
    of_other_items = ["--model.warm_start", str(tested / "checkpoint")]
    command = [sys.executable, "-m", "recsys", *zoo.args("fit", "refused", *of_other_items, data=zoo.generic)]
    own = {name: value for name, value in os.environ.items() if name not in ("WANDB_SERVICE", "RECSYS_RUN_DIR")}
    ran = subprocess.run(command, env=own | {"WANDB_SILENT": "false"}, check=False, capture_output=True, text=True)
    assert ran.returncode == 2
    assert "Tracking run" in ran.stderr  # wandb had begun
    assert "Find logs at" not in ran.stderr
    assert "wandb sync" not in ran.stderr
    assert "anonymous" not in ran.stderr
    assert zoo.folders("refused") == []


def test_a_run_that_fails_says_that_and_why(zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise ArithmeticError("no more numbers")

    monkeypatch.setattr(SequentialRecommender, "training_step", fail)
    with pytest.raises(ArithmeticError):
        zoo("fit", "fails")
    wandb.teardown()
    (run,) = find_runs(zoo.folders("fails"))
    assert run.state == "failed"
    assert run.facts["error"] == "ArithmeticError: no more numbers"
    assert logs(run.folder)[0].exit_code == 1


def test_online_without_a_server_logs_offline_and_says_so(zoo) -> None:
    account = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "a" * 40}
    own = {name: value for name, value in os.environ.items() if name not in ("WANDB_SERVICE", "RECSYS_RUN_DIR")}
    command = [sys.executable, "-m", "recsys", *zoo.args("fit", "online", "--wandb", "online")]
    done = subprocess.run(command, env=own | account, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "http://127.0.0.1:9 does not answer" in done.stderr
    (run,) = find_runs(zoo.folders("online"))
    assert run.state == "finished"
    (log,) = logs(run.folder)
    assert log.exit_code == 0


def test_a_server_gets_the_run_and_its_checkpoint(zoo, account: Callable[[str], None]) -> None:
    with serving([]) as (url, asked):
        account(url)
        assert zoo("fit", "uploaded", "--wandb", "online", "--project", "p", "--entity", "e") == 0
        assert zoo("test", "uploaded", "--wandb", "online", "--project", "p", "--entity", "e") == 0
        wandb.teardown()
    assert {f"/upload/{name}" for name in uploads.USUAL} <= {*asked}, "by which others can compare it, pair by pair"
    assert {"UpsertBucket", "CreateArtifact", "CommitArtifact"} <= {*asked}
    assert {f"/upload/{name}" for name in (*checkpoints.FILES, "manifest.json")} <= {*asked}
    assert any(path.endswith("/file_stream") for path in asked)
    (run,) = find_runs(zoo.folders("uploaded"))
    assert (run.state, run.tested) == ("finished", True)


def test_a_server_that_goes_away_does_not_keep_a_run(
    zoo, account: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "2")
    with serving([], until="UpsertBucket") as (url, asked):
        account(url)
        assert zoo("fit", "dropped", "--wandb", "online", "--project", "p", "--entity", "e") == 0
        wandb.teardown()
    assert "CommitArtifact" not in asked
    assert "not logged as an artifact" in capsys.readouterr().err
    (run,) = find_runs(zoo.folders("dropped"))
    assert run.state == "finished"
    assert run.curves["val/ndcg@10"]


def test_a_server_that_is_none_of_wandbs(
    account: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Other(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    account(f"http://127.0.0.1:{server.server_port}")
    trainer = Trainer(logger=WandbLogger(project="p", mode="online", save_dir=tmp_path), accelerator="cpu")
    begin(trainer)
    assert trainer.logger.experiment.offline
    assert "logging offline" in capsys.readouterr().err
    wandb.finish()
    server.shutdown()
    server.server_close()
