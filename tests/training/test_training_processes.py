"""Two processes measure what one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.experiments import find_runs


@pytest.mark.slow
def test_two_processes_measure_what_one_does(zoo, sasrec: Path) -> None:
    checkpoint = ["--ckpt_path", str(sasrec / "checkpoint")]
    assert zoo("test", "one", *checkpoint) == 0
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    done = subprocess.run(
        [sys.executable, "-m", "recsys", *zoo.args("test", "two", *checkpoint, *two)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    ((one,), (run,)) = zoo.folders("one"), zoo.folders("two")
    parts = sorted(part.name for part in run.glob("test_requests*.parquet"))
    assert parts == ["test_requests.0.parquet", "test_requests.1.parquet"]
    results = [json.loads((folder / "test.json").read_text())["metrics"] for folder in (one, run)]
    assert results[1] == pytest.approx(results[0], abs=1e-9)
    (alone,), (together,) = find_runs([one]), find_runs([run])
    assert together.requests().equals(alone.requests())
