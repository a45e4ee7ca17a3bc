"""The example for Ray Train, on two workers of this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "ray_train.py"


@pytest.mark.slow
def test_ray_trains_and_tests_as_one_process_does(zoo, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not among the requirements of the tests")
    pytest.importorskip("ray.train")
    cluster = ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)  # once, which takes long

    def on_ray(*args: str) -> None:
        command = [sys.executable, str(EXAMPLE), "--workers", "2", "--storage", str(tmp_path), *args]
        known = {"PYTHONPATH": os.pathsep.join(sys.path), "RAY_ADDRESS": cluster.address_info["address"]}
        done = subprocess.run(command, env=os.environ | known, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr

    on_ray(*zoo.args("fit", "ray"))
    on_ray(*zoo.args("test", "ray"))
    (run,) = zoo.folders("ray")
    assert zoo("test", "ray_one", "--ckpt_path", str(run / "checkpoint")) == 0
    (alone,) = zoo.folders("ray_one")
    together, expected = (json.loads((folder / "test.json").read_text())["metrics"] for folder in (run, alone))
    assert together == pytest.approx(expected, abs=1e-12)
    assert len(list(run.glob("test_requests.*.parquet"))) == 2
    ray.shutdown()
