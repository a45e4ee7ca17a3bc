"""What a run logs and says of itself, and that nothing about wandb can stop or keep it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest
import wandb
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import WandbLogger

from recsys.experiments import find_runs
from recsys.experiments.wandb_log import Log, read_log
from recsys.training.facts import protocol_hash
from recsys.training.module import SequentialRecommender
from recsys.training.tracking import begin


@pytest.fixture(scope="module")
def tested(zoo, sasrec: Path) -> Path:
    assert zoo("test", "sasrec", "--tags", "a", "b", "--group", "seeds") == 0
    wandb.teardown()  # which writes the logs out
    return sasrec


def logs(run: Path) -> list[Log]:
    return [read_log(file) for file in sorted(run.glob("wandb/offline-run-*/*.wandb"))]


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
    assert (said["device"], said["seed"], said["state"], said["epochs"]) == ("cpu", 0, "finished", 6)
    assert said["throughput"]["users_per_second"] > 0
    assert fit.exit_code == 0


def test_a_test_logs_intervals_and_keeps_the_values_per_request(tested: Path) -> None:
    test = logs(tested)[-1]
    result = json.loads((tested / "test.json").read_text())
    assert (test.config["stage"], test.tags, test.group) == ("test", ["a", "b"], "seeds")
    assert test.summary["intervals"]["test/ndcg@10"] == result["intervals"]["test/ndcg@10"]
    assert test.summary["test/ndcg@10"] == pytest.approx(result["metrics"]["test/ndcg@10"])
    assert test.config["protocols"] == result["protocols"]
    (kept,) = tested.glob("wandb/offline-run-*/files/test_requests.parquet")
    assert pl.read_parquet(kept).equals(pl.read_parquet(tested / "test_requests.parquet"))


def test_a_tested_run_is_read_back(tested: Path) -> None:
    (run,) = find_runs([tested])
    assert (run.state, run.seed, run.model, run.tested) == ("finished", 0, "SASRec", True)
    assert run.config["model.network.init_args.dim"] == 8
    assert len(run.curves["val/ndcg@10"]) == 6
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


def test_a_server_that_is_none_of_wandbs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    class Other(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    wandb.teardown()  # it remembers the server that it was begun with
    trainer = Trainer(logger=WandbLogger(project="p", mode="online", save_dir=tmp_path), accelerator="cpu")
    begin(trainer)
    assert trainer.logger.experiment.offline
    assert "logging offline" in capsys.readouterr().err
    wandb.finish()
    wandb.teardown()
    server.shutdown()
    server.server_close()
