"""`recsys sweep` with real fits: killed with all that it had started, taken up again, its best config a config."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsys.__main__ import main
from recsys.commands.sweep import devices, split
from recsys.errors import InputError
from recsys.training.cli import resolved
from recsys.training.configs import find_config

SMALL = [
    *("--model.network.init_args.inner_dim", "8", "--data.max_len", "5", "--data.stride", "5"),
    *("--trainer.max_epochs", "3", "--trainer.limit_train_batches", "2", "--trainer.enable_model_summary", "false"),
    *("--trainer.accelerator", "cpu", "--trainer.log_every_n_steps", "1"),
]


def args(tmp_path: Path, *more: str, space: str) -> list[str]:
    (tmp_path / "space.yaml").write_text(space)
    where = ["--space", str(tmp_path / "space.yaml"), "--output", str(tmp_path / "swept")]
    data = ["--data.path", str(tmp_path / "ml-100k")]
    return ["sweep", "--config", "sasrec_ml-100k", *where, *data, *SMALL, *more]


def test_a_killed_sweep_goes_on_in_the_very_run_it_was_at(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "ml-100k", "--output", str(tmp_path / "ml-100k")]) == 0
    command = args(tmp_path, "--trials", "1", space="model.learning_rate: {low: 1.0e-3, high: 1.0e-2, log: true}\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.Popen([sys.executable, "-m", "recsys", *command], env=environment, start_new_session=True)
    swept = tmp_path / "swept"
    deadline = time.monotonic() + 300
    while not list(swept.glob("trial-0000/*/checkpoints/last.ckpt")):
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL

    assert main(command) == 0
    shown = capfd.readouterr()
    assert "going on with trial 0" in shown.err
    assert "1 complete" in shown.out
    (run,) = swept.glob("trial-0000/2*")
    assert f"Resuming {run}" in (swept / "trial-0000" / "log.txt").read_text()
    assert (run / "checkpoint" / "metrics.json").is_file()
    assert not (run / "test.json").exists(), "nothing is chosen on the test split"
    logs = list(run.glob("wandb/offline-run-*/*.wandb"))
    assert any(b"swept" in log.read_bytes() for log in logs), "grouped by the sweep's name"
    epochs = [int(line.split(",")[0]) for line in (swept / "trial-0000" / "scores.csv").read_text().splitlines()]
    assert sorted(set(epochs)) == [0, 1, 2]

    best = str(swept / "best.yaml")
    shared = resolved(["--config", "sasrec_ml-100k", "--data.path", str(tmp_path / "ml-100k"), *SMALL])
    assert shared["model"]["learning_rate"] == 0.005, "the config's own, tried first"
    assert resolved(["--config", best]) == {**shared, "name": "sasrec_ml-100k-best"}


@pytest.mark.parametrize(
    ("space", "more", "said"),
    [
        ("model.learning_rat: {low: 0.1, high: 0.2}", [], "Did you mean 'model.learning_rate'?"),
        ("model.network.init_args.dim: {choices: [8, wide]}", [], "dim: 'wide' is no int"),
        ("model.schedule: {choices: [constant, lineer]}", [], "must be one of"),
        ("data.batch_size: {low: 8, high: 16}", ["--data.batch_size", "8"], "--data.batch_size: is in"),
        ("data.batch_size: {low: 8, high: 16}", ["--runs", "x"], "--runs: a sweep places its runs itself"),
        ("data.batch_size: {low: 8, high: 16}", ["--trails", "8"], "Did you mean"),
        ("data.batch_size: {low: 8, high: 16}", ["--trials", "0"], "--trials and --jobs must be at least 1"),
    ],
)
def test_what_cannot_be_tried_is_refused_before_anything_is_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], space: str, more: list[str], said: str
) -> None:
    assert main(args(tmp_path, *more, space=space)) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "swept").exists()


def test_a_missing_space_is_named_with_the_shipped_ones_in_mind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--config", "sasrec_ml-100k", "--space", "sasrek"]) == 2
    assert "--space sasrek: no such file. Did you mean 'sasrec'?" in capsys.readouterr().err


def test_the_shipped_spaces_fit_a_config_of_their_name() -> None:
    from recsys.commands.sweep import check_values
    from recsys.experiments.space import read_space

    folder = Path(find_config("sasrec", spaces=True)).parent
    for file in folder.glob("*.yaml"):
        config = ["--config", f"{file.stem}_ml-100k"]
        space = read_space(file, resolved(config))
        check_values(resolved(config, everything=False), space)


def test_flags_of_the_sweep_are_told_from_those_of_the_fit() -> None:
    words = ["--config", "x", "--space", "s", "--model.a", "-1", "--prune", "--jobs=2", "--b", "y"]
    own, others = split(words, {"space", "prune", "jobs"})
    assert own == ["--space", "s", "--prune", "--jobs=2"]
    assert others == ["--config", "x", "--model.a", "-1", "--b", "y"]


def test_a_trial_sees_one_gpu_unless_it_trains_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert devices({"accelerator": "auto", "devices": "auto"}) == ["2", "5"]
    assert devices({"accelerator": "cpu", "devices": 4}) == []
    with pytest.raises(InputError, match=r"--trainer\.devices 2: a trial of a sweep sees one GPU"):
        devices({"accelerator": "gpu", "devices": 2})
