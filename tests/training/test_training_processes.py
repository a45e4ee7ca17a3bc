"""Two processes measure what one does, and recommend to everybody once, whoever starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from recsys.experiments import find_runs
from recsys.training.cli import run

CONFIGS = ("sasrec_qilin", "bert4rec_qilin", "searchsasrec_qilin")
VERBS = ("validate", "test", "predict")
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]

EACH = """
import json, os, sys
from recsys.training.cli import run

found = [run(args).model.scores for args in json.loads(sys.argv[1])]
if os.environ["RANK"] == "0":
    print("SCORES", json.dumps(found))
"""


def python(*args: str) -> str:
    """What a fresh Python prints, our own imports in its path."""
    done = subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_two_processes_of_lightning_measure_what_one_does(zoo, sasrec: Path) -> None:
    checkpoint = ["--ckpt_path", str(sasrec / "checkpoint")]
    assert zoo("test", "one", *checkpoint) == 0
    python("-m", "recsys", *zoo.args("test", "two", *checkpoint, *TWO))
    require_same(zoo, "one", "two")


@pytest.mark.slow
def test_two_processes_of_torchrun_measure_what_one_does(zoo, tmp_path: Path) -> None:
    """Validation, test and predictions of the three models; each writes one folder, wherever a process runs."""
    alone, together = [], []
    for config in CONFIGS:
        name = config.removesuffix("_qilin")
        assert zoo("fit", f"fit_{name}", "--model.warm_start", "null", config=config) == 0
        weights = ["--ckpt_path", str(zoo.folders(f"fit_{name}")[-1] / "checkpoint"), "--model.warm_start", "null"]
        for verb in VERBS:
            alone.append(run(zoo.args(verb, f"{name}_{verb}_one", *weights, config=config)).model.scores)
            together.append(zoo.args(verb, f"{name}_{verb}_two", *weights, *TWO, config=config))
    (tmp_path / "each.py").write_text(EACH)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    printed = python(*torchrun, str(tmp_path / "each.py"), json.dumps(together))
    (line,) = (line for line in printed.splitlines() if line.startswith("SCORES"))
    for scores, expected in zip(json.loads(line.removeprefix("SCORES")), alone, strict=True):
        assert scores == pytest.approx(expected, abs=1e-12)
    assert [len(scores) for scores in alone] == 3 * [18, 270, 0]  # other protocols and the baselines in tests alone
    for config in CONFIGS:
        name = config.removesuffix("_qilin")
        require_same(zoo, f"{name}_test_one", f"{name}_test_two")
        (one,), (two,) = (predictions(zoo, f"{name}_predict_{processes}") for processes in ("one", "two"))
        assert two["request_id"].is_unique().all()
        assert two.drop("scores").equals(one.drop("scores"))
        assert (two["scores"].explode() - one["scores"].explode()).abs().max() < 1e-5


def require_same(zoo, one: str, two: str) -> None:
    """The same metrics, and the same values of every request, in two parts."""
    ((alone,), (together,)) = zoo.folders(one), zoo.folders(two)
    parts = sorted(part.name for part in together.glob("test_requests*.parquet"))
    assert parts == ["test_requests.0.parquet", "test_requests.1.parquet"]
    results = [json.loads((folder / "test.json").read_text())["metrics"] for folder in (alone, together)]
    assert results[1] == pytest.approx(results[0], abs=1e-12)
    (first,), (second,) = find_runs([alone]), find_runs([together])
    assert second.requests().equals(first.requests())


def predictions(zoo, name: str) -> list[pl.DataFrame]:
    """Of each run of that name, all parts together."""
    return [
        pl.concat([pl.read_parquet(part) for part in sorted(folder.glob("predictions*.parquet"))]).sort("request_id")
        for folder in zoo.folders(name)
    ]
