"""What an installation promises: RecBole's models without its baggage, a quick command line, an untouched numpy."""

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Required by RecBole's metadata, needed by its training loop, not by its models.
BAGGAGE = ["ray", "thop", "hyperopt", "plotly", "tabulate"]


def python(code: str) -> dict:
    """Run `code` in a new interpreter; it prints one JSON object."""
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def after_import() -> dict:
    """What is so after `import recsys.models` where the baggage cannot be imported."""
    return python(f"""
        import json, sys
        import numpy, torch

        class Barrier:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {BAGGAGE}:
                    raise ModuleNotFoundError(f"{{name}} is blocked", name=name)

        sys.meta_path.insert(0, Barrier())
        numpy_before = set(vars(numpy))
        import recsys.models
        print(json.dumps({{
            "recbole": "recbole.model.sequential_recommender" in sys.modules,
            "baggage": sorted(set(sys.modules) & set({BAGGAGE})),
            "anomaly mode": torch.is_anomaly_enabled(),
            "numpy aliases": sorted((set(vars(numpy)) - numpy_before) & {{"bool8", "complex_", "float_", "unicode_"}}),
        }}))
    """)


def test_models_need_none_of_recboles_baggage(after_import: dict) -> None:
    assert after_import["recbole"]
    assert after_import["baggage"] == []


def test_anomaly_mode_stays_off(after_import: dict) -> None:
    """RecBole's import switches it on, which makes training 1.7 times slower."""
    assert after_import["anomaly mode"] is False


def test_numpy_stays_as_it_is(after_import: dict) -> None:
    """RecBole's Config writes removed names back into numpy; nothing of ours calls it."""
    assert after_import["numpy aliases"] == []


def test_recsys_alone_imports_nothing_heavy() -> None:
    loaded = python("import json, sys, recsys; print(json.dumps([m for m in sys.modules if m.startswith('recsys.')]))")
    assert loaded == []


def test_help_is_quick_and_needs_no_torch() -> None:
    code = """
        import json, sys
        from recsys.__main__ import main
        assert main(["--help"]) == 0
        print(json.dumps({"heavy": sorted({"torch", "lightning", "numba", "numpy", "wandb"} & set(sys.modules))}))
    """
    best = float("inf")
    for _ in range(3):  # the best of three: a busy machine is no fault of ours
        started = time.perf_counter()
        assert python(code) == {"heavy": []}
        best = min(best, time.perf_counter() - started)
    assert best < 0.5


def test_the_command_is_installed() -> None:
    command = Path(sys.executable).parent / "recsys"
    run = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("usage: recsys")


def test_what_recboles_models_import_is_required_by_us() -> None:
    ours = {re.match(r"[\w.-]+", line)[0] for line in metadata.requires("recsys-zoo") if "extra ==" not in line}
    assert {"colorlog", "colorama", "tensorboard", "texttable", "pandas"} <= ours
    assert not ours & {"recbole", *BAGGAGE}


def test_constraints_name_what_decides_results_and_no_machine() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", pin) for pin in pins)
    names = {pin.partition("==")[0] for pin in pins}
    assert {"torch", "recbole", "lightning", "numba", "numpy", "polars", "pyarrow", "wandb", "jsonargparse"} <= names
    assert not names & set(BAGGAGE)


def test_tests_cannot_leave_this_machine() -> None:
    with pytest.raises(RuntimeError, match="loopback only"):
        socket.create_connection(("192.0.2.1", 9), timeout=1)
    with pytest.raises(RuntimeError, match="loopback only"):
        socket.getaddrinfo("example.org", 443)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_tests_run_on_one_thread() -> None:
    import torch

    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert torch.get_num_threads() == 1
