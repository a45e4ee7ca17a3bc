"""Benchmarks that no machine of ours can run in full still run."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


def test_every_kind_of_step_is_taken_counted_and_written_down(tmp_path: Path) -> None:
    small = ["--device", "cpu", "--items", "10000", "--steps", "1", "--windows", "1", "--requests", "64"]
    run(*small, "--results", str(tmp_path))
    (path,) = tmp_path.glob("gpu-cpu-*.csv")
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    ceilings, steps, ranking = rows[:4], rows[4:-1], rows[-1]
    assert [row["model"] for row in ceilings] == 4 * ["ceiling"]
    assert len(steps) == 21
    assert ranking["model"] == "top_k"
    assert {row["outcome"] for row in [*steps, ranking]} == {"ok"}
    flop = {(row["model"], row["loss"], row["precision"]): float(row["tflop"]) * 1e12 for row in steps}
    # the products of 50 targets with 10,000 items of width 64: 6 passes, and hardly more: a row of 64 numbers of the
    # table's gradient has memory for an item's 50 logits, which need not be computed again
    head = 50 * 10_000 * 64
    assert flop["SASRec", "FullSoftmax", "bf16"] >= 6 * head
    assert flop["SASRec", "FullSoftmax", "fp32"] == pytest.approx(flop["SASRec", "FullSoftmax", "bf16"], rel=0.2)
    assert (
        flop["RecBole's SASRec", "full logits", "fp32"] > flop["SASRec", "FullSoftmax", "fp32"]
    )  # reads 50 rows for 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    assert run("--results", str(tmp_path)).startswith("No CUDA device here; --device cpu")
    assert not list(tmp_path.iterdir())


def run(*args: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    script = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), *args]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
