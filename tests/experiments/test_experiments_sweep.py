"""The loop of a sweep, with a stand-in for `recsys fit` that takes no time; the real one is in tests/commands."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from recsys.errors import InputError
from recsys.experiments.space import Choices, Range
from recsys.experiments.sweep import Sweep, sweep
from recsys.experiments.trials import slots, visible

FIT = """
import json, os, sys, time
from pathlib import Path
import yaml

words = [word for word in sys.argv[1:] if "+=" not in word]
flags = dict(zip(words[::2], words[1::2]))
config = yaml.safe_load(Path(flags["--config"]).read_text())
folder = Path(flags["--runs"]) / flags["--name"]
with open(folder.parent / "began.txt", "a") as file:
    file.write(f"{folder.name} {os.environ.get('CUDA_VISIBLE_DEVICES')} {os.environ['WANDB_RUN_GROUP']}\\n")
x, kind = config["x"], config["kind"]
if kind == "fails" or kind == "first waits" and x:
    sys.exit("ValueError: it fails")
if kind == "killed":
    os.kill(os.getpid(), 9)
value = -(x - 3) ** 2 + (1 if kind == "good" else 0)
for epoch in range(config["epochs"]):
    with open(folder / "scores.csv", "a") as file:
        file.write(f"{epoch},{value}\\n")
    while "waits" in kind and not (folder.parent / "go").exists() or epoch == config["hangs_at"] and value < -4:
        time.sleep(0.02)
made = folder / "20260101-000000" / "checkpoint"
made.mkdir(parents=True, exist_ok=True)
(made / "metrics.json").write_text(json.dumps({"metrics": {"val/ndcg@10": value} if kind != "silent" else {}}))
"""


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.experiments.sweep.PAUSE", 0.02)


@pytest.fixture
def asked(tmp_path: Path) -> Sweep:
    program = tmp_path / "fit.py"
    program.write_text(FIT)
    config = {"x": 0.0, "kind": "good", "epochs": 1, "hangs_at": None}
    return Sweep(
        folder=tmp_path / "swept",
        config=config,
        resolved={**config, "name": "parabola", "early_stopping": {"monitor": "val/ndcg@10", "mode": "max"}},
        space={"x": Range(-5.0, 5.0), "kind": Choices(("good", "bad"))},
        trials=4,
        program=(sys.executable, str(program)),
    )


def run(asked: Sweep, jobs: int = 1) -> list[str]:
    said: list[str] = []
    sweep(asked, [{}] * jobs, said.append)
    return said


def params(asked: Sweep) -> list[dict]:
    found = sweep(asked, [{}], lambda message: None)
    return [each.params for each in sorted(found, key=lambda each: each.number)]


def began(asked: Sweep) -> list[list[str]]:
    return [line.split() for line in (asked.folder / "began.txt").read_text().splitlines()]


def test_the_config_itself_is_tried_first_and_the_best_is_kept(asked: Sweep) -> None:
    said: list[str] = []
    best, *others = sweep(asked, [{}], said.append)
    assert [each.value for each in (best, *others)] == sorted((each.value for each in (best, *others)), reverse=True)
    first = next(each for each in (best, *others) if each.number == 0)
    assert (first.params, first.value) == ({"x": 0.0, "kind": "good"}, -8.0)
    kept = yaml.safe_load((asked.folder / "best.yaml").read_text())
    assert kept == {"epochs": 1, "hangs_at": None, "name": "parabola-best", **best.params}
    assert {folder for folder, *_ in began(asked)} == {f"trial-{i:04}" for i in range(4)}
    assert {group for *_, group in began(asked)} == {"swept"}
    assert any(line.startswith("trial 0 of 4: val/ndcg@10 -8.0000; best -8.0000, trial 0") for line in said)


def test_what_is_tried_does_not_depend_on_where_a_sweep_was_cut(asked: Sweep, tmp_path: Path) -> None:
    whole = params(replace(asked, folder=tmp_path / "whole", trials=12))  # the first 10 are drawn, the others modelled
    params(replace(asked, trials=5))
    assert params(replace(asked, trials=12)) == whole
    assert len(began(asked)) == 12, "nothing was run twice"
    assert len({repr(each) for each in whole}) == 12
    assert params(replace(asked, folder=tmp_path / "other", seed=1, trials=2)) != whole[:2]


def test_fits_that_outlive_a_killed_sweep_are_waited_for_not_begun_again(asked: Sweep) -> None:
    asked = replace(asked, space={"x": Range(-5.0, 5.0)}, config={**asked.config, "kind": "waits"}, trials=3)
    code = f"""
from recsys.experiments.space import *
from recsys.experiments.sweep import *
from pathlib import Path, PosixPath
sweep({asked!r}, [{{}}, {{}}], print)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (asked.folder / "began.txt").exists() or len(began(asked)) < 2:
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.02)
    with pytest.raises(InputError, match="another process is running this sweep"):
        run(asked)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL

    def go_on(message: str) -> None:
        if message.startswith("going on with trials 0, 1"):
            (asked.folder / "go").touch()

    found = sweep(asked, [{}, {}], go_on)
    assert sorted(each.number for each in found if each.state == "complete") == [0, 1, 2]
    assert sorted(folder for folder, *_ in began(asked)) == ["trial-0000", "trial-0001", "trial-0002"]


def test_trials_at_once_get_a_device_each(asked: Sweep) -> None:
    sweep(asked, slots(None, ["4", "7"], cores=8, environment={}), lambda message: None)
    devices = [device for _, device, _ in began(asked)]
    assert set(devices) == {"4", "7"}
    assert devices[:2] in (["4", "7"], ["7", "4"])


def test_slots_are_devices_or_shares_of_the_cores() -> None:
    assert slots(None, [], 8, {}) == [{}], "one alone has all that it would have"
    assert slots(3, [], 8, {}) == [{"OMP_NUM_THREADS": "2"}] * 3
    assert slots(3, [], 2, {}) == [{"OMP_NUM_THREADS": "1"}] * 3
    assert slots(2, [], 8, {"OMP_NUM_THREADS": "5"}) == [{}, {}], "what the user has set stays"
    both = [{"CUDA_VISIBLE_DEVICES": name, "OMP_NUM_THREADS": "4"} for name in ("0", "1")]
    assert slots(None, ["0", "1"], 8, {}) == both, "who waits for a GPU has cores too"
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots(3, ["0", "1"], 8, {})] == ["0", "1", "0"]
    assert slots(1, ["0", "1"], 8, {}) == [{"CUDA_VISIBLE_DEVICES": "0"}]


@pytest.mark.parametrize(
    ("named", "count", "found"),
    [
        (None, 2, ["0", "1"]),
        ("2,5", 2, ["2", "5"]),
        ("1, 0", 2, ["1", "0"]),
        ("0,9,1", 1, ["0"]),  # CUDA looks no further than what is not there
        ("", 0, []),
        ("-1", 0, []),
        ("GPU-1a,GPU-2b", 2, ["GPU-1a", "GPU-2b"]),
        ("MIG-1a,MIG-2b", 1, ["MIG-1a", "MIG-2b"]),  # and counts one of these
        ("MIG-1a", 0, []),
    ],
)
def test_visible_devices_are_those_that_cuda_finds(named: str | None, count: int, found: list[str]) -> None:
    assert visible(named, count) == found


def test_a_first_trial_that_fails_ends_the_sweep(asked: Sweep) -> None:
    with pytest.raises(InputError, match=r"trial-0000/log.txt: the fit failed \(ValueError: it fails\)"):
        run(replace(asked, space={"x": Range(-5.0, 5.0)}, config={**asked.config, "kind": "fails"}))
    assert len(began(asked)) == 1


def test_a_later_trial_that_fails_is_only_noted(asked: Sweep) -> None:
    asked = replace(asked, space={"kind": Choices(("good", "fails"))}, trials=6)
    said = run(asked)
    assert any("failed (ValueError: it fails); best -8.0000, trial 0" in line for line in said)
    assert any("the same as trial 0" in line for line in said), "what has a value already is not run again"
    assert [folder for folder, *_ in began(asked)].count("trial-0000") == 1


def test_a_later_trial_that_fails_before_the_first_has_ended_is_only_noted(asked: Sweep) -> None:
    asked = replace(asked, space={"x": Range(-5.0, 5.0)}, config={**asked.config, "kind": "first waits"}, trials=2)

    def go_on(message: str) -> None:
        if message.startswith("trial 1 of 2: failed"):
            (asked.folder / "go").touch()

    found = sweep(asked, [{}, {}], go_on)
    assert [(each.number, each.state) for each in found] == [(0, "complete"), (1, "failed")]


def test_a_trial_that_is_killed_is_noted_as_such(asked: Sweep) -> None:
    said = run(replace(asked, space={"kind": Choices(("good", "killed"))}, trials=6))
    assert any("failed (killed by SIGKILL, as by a machine out of memory)" in line for line in said)


def test_a_fit_without_the_metric_ends_the_sweep(asked: Sweep) -> None:
    with pytest.raises(InputError, match=r"ended without val/ndcg@10"):
        run(replace(asked, space={"x": Range(-5.0, 5.0)}, config={**asked.config, "kind": "silent"}))


def test_trials_below_the_median_are_ended_early(asked: Sweep) -> None:
    """They would never end by themselves."""
    space, config = {"x": Range(-5.0, 5.0)}, {**asked.config, "x": 3.0, "epochs": 6}
    asked = replace(asked, space=space, config=config, resolved={**asked.resolved, "x": 3.0}, prune=True)
    run(replace(asked, trials=5))
    said = run(replace(asked, trials=9, config={**config, "hangs_at": 5}))
    assert any(": pruned; best 1.0000, trial 0" in line for line in said)


def test_another_sweep_is_not_gone_on_with(asked: Sweep) -> None:
    run(replace(asked, trials=1))
    with pytest.raises(InputError, match=r"holds a sweep with another space\.x\.high \(5\.0, not 4\.0\)"):
        run(replace(asked, space={**asked.space, "x": Range(-5.0, 4.0)}))
    with pytest.raises(InputError, match=r"holds a sweep with another config\.x "):
        run(replace(asked, resolved={**asked.resolved, "x": 1.0}))
    with pytest.raises(InputError, match=r"another seed \(0, not 1\)"):
        run(replace(asked, seed=1))


def test_selection_on_test_is_refused(asked: Sweep) -> None:
    stopping = {"monitor": "test/ndcg@10", "mode": "max"}
    with pytest.raises(InputError, match="a sweep selects on validation"):
        run(replace(asked, resolved={**asked.resolved, "early_stopping": stopping}))
    assert not asked.folder.exists()
