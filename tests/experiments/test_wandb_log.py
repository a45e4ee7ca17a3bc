"""wandb's offline files: as wandb itself reads them, of an older version too, and as far as damage lets anyone."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
from hypothesis import given
from hypothesis import strategies as st

from recsys.experiments import find_runs
from recsys.experiments.wandb_log import BLOCK, HEADER, DamagedError, entries, read_history, read_log

OLD = Path(__file__).parent / "data" / "wandb-0.19.11.wandb"
WANDB = [sys.executable, "-m", "wandb"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the installed wandb: 400 rows, and a setting that fills three blocks."""
    folder = tmp_path_factory.mktemp("run")
    with wandb.init(
        project="zoo",
        dir=folder,
        name="tiny",
        group="seeds",
        tags=["a", "b"],
        config={"lr": 0.1, "long": "ä" * BLOCK, "cli": {"model": {"dim": 8}}},
    ) as run:
        run.define_metric("val/*", step_metric="trainer/global_step")
        for i in range(400):
            row = {"loss": 1 / (i + 1), "trainer/global_step": 2 * i, "nested": {"a": i, "b": {"c": -i}}}
            run.log(row | ({"val/ndcg@10": i / 400} if i % 10 == 9 else {}))
        run.config.update({"lr": 0.2, "late": [1, None, {"x": True}]}, allow_val_change=True)
        run.summary["best"] = {"x": 1}
        run.summary["gone"] = 1
        run.log({"odd": math.nan, "trainer/global_step": 800})
        del run.summary["gone"]
    wandb.teardown()  # before it, the file is not written out
    (file,) = (file for file in folder.glob("wandb/offline-run-*/*.wandb") if not file.parent.is_symlink())
    return file


def leet(*args: str) -> str:
    """What wandb's own reader prints."""
    done = subprocess.run([*WANDB, "leet", "inspect", "--json", *args], capture_output=True, text=True, check=False)
    if "No such command" in done.stderr:
        pytest.skip("this wandb cannot read its logs")
    assert done.returncode == 0, done.stderr
    return done.stdout


def flat(row: dict) -> dict:
    """As `wandb leet` prints the keys of a row."""
    row = {key: "NaN" if value != value else value for key, value in row.items()}
    return {
        name: value
        for key, inner in row.items()
        for name, value in (
            {f"{key}.{k}": v for k, v in flat(inner).items()} if isinstance(inner, dict) else {key: inner}
        ).items()
    }


@pytest.mark.parametrize("old", [False, True])
def test_as_wandb_reads_it(log: Path, old: bool) -> None:
    file = OLD if old else log
    theirs, ours = json.loads(leet("--summary", str(file))), read_log(file)
    assert ours.config == theirs["config"]
    assert sorted(flat(ours.summary).items()) == sorted(flat(theirs["summary"]).items())
    assert (ours.run_id, ours.name, ours.project) == (theirs["run_id"], theirs["name"], theirs["project"])
    assert ours.tags == theirs["tags"]
    assert {0: "finished"}[ours.exit_code] == theirs["state"]
    assert ours.damage is None


@pytest.mark.parametrize("old", [False, True])
def test_the_history_as_wandb_reads_it(log: Path, old: bool) -> None:
    file = OLD if old else log
    records = [json.loads(line) for line in leet(str(file)).splitlines()]
    theirs = [record["history"]["item"] for record in records if record["type"] == "history"]
    ours = read_history(file)
    assert len(ours) == (12 if old else 401)
    assert [flat(row) for row in ours] == theirs


def test_a_run_of_an_older_wandb() -> None:
    found = read_log(OLD)
    assert found.config == {"lr": 0.1, "nest": {"a": [1, 2], "b": None}, "late": {"c": 1}}
    assert found.summary["best"] == 0.5
    assert found.summary["deep"] == {"x": 1, "y": {"z": 2}}
    assert [row["loss"] for row in read_history(OLD)] == pytest.approx([1 / (i + 1) for i in range(12)])


def test_torn_at_every_block_boundary_it_is_read_up_to_there(log: Path, tmp_path: Path) -> None:
    whole, content, torn = read_history(log), log.read_bytes(), tmp_path / "torn.wandb"
    boundaries = range(0, len(content), BLOCK)
    assert len(boundaries) > 6
    lengths = []
    for end in boundaries:
        for cut in {end - 1, end, end + 1, end + 6, end + 7, end + 8}:
            if 0 <= cut < len(content):
                torn.write_bytes(content[:cut])
                found, rows = read_log(torn), read_history(torn)
                assert rows == whole[: len(rows)]
                assert found.exit_code is None
                assert found.damage is None or str(torn) in found.damage
        lengths.append(len(rows))
    assert lengths == sorted(lengths)
    assert lengths[-1] > 300


def test_only_between_two_records_is_a_log_whole(tmp_path: Path) -> None:
    content, torn = OLD.read_bytes(), tmp_path / "torn.wandb"
    with OLD.open("rb") as file:
        ends = {len(HEADER)} | {file.tell() for _ in entries(Unbuffered(file))}
    for cut in range(0, len(content), 13):
        torn.write_bytes(content[:cut])
        assert (read_log(torn).damage is None) == (cut in ends)


class Unbuffered:
    """Hands out chunk by chunk where a log has a single block, so that `tell` is where a record ends."""

    def __init__(self, file) -> None:
        self.file, self.rest = file, b""

    def read(self, size: int) -> bytes:
        if size == len(HEADER):
            return self.file.read(size)
        head = self.file.read(7)
        return head + self.file.read(int.from_bytes(head[4:6], "little"))

    def tell(self) -> int:
        return self.file.tell()


@given(draw=st.data())
def test_a_flipped_byte_ends_what_is_read_and_is_told(
    draw: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content, whole = bytearray(OLD.read_bytes()), read_history(OLD)
    at = draw.draw(st.integers(0, len(content) - 1))
    content[at] ^= draw.draw(st.integers(1, 255))
    flipped = tmp_path_factory.mktemp("flipped") / "run.wandb"
    flipped.write_bytes(content)
    damage, rows = read_log(flipped).damage, read_history(flipped)
    assert damage is not None
    assert str(flipped) in damage
    assert rows == whole[: len(rows)]


def test_damage_is_said_once_with_its_place_and_the_run_is_still_a_run(log: Path, tmp_path: Path) -> None:
    content = bytearray(log.read_bytes())
    content[5 * BLOCK + 100] ^= 1
    (tmp_path / "run-1.wandb").write_bytes(content)
    (run,) = find_runs([tmp_path])
    (said,) = run.warnings
    assert "at byte" in said
    assert "records before it are read" in said
    assert run.state == "unfinished"
    assert 0 < len(run.curves["loss"]) < 400


def test_another_file_is_no_log(tmp_path: Path) -> None:
    file = tmp_path / "x.wandb"
    file.write_bytes(b"PK\x03\x04 something else")
    with file.open("rb") as opened, pytest.raises(DamagedError, match="wandb"):
        list(entries(opened))


def test_a_killed_run_is_unfinished_and_keeps_its_curves(tmp_path: Path) -> None:
    program = (
        "import glob, os, signal, time, wandb\n"
        "run = wandb.init(project='zoo', mode='offline', dir='.')\n"
        "for i in range(1000): run.log({'loss': i})\n"
        "while not any(os.path.getsize(f) > 1e5 for f in glob.glob('wandb/offline-*/*.wandb')): time.sleep(0.1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    own = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}  # not this process's
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=own, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    (run,) = find_runs([tmp_path])
    assert run.state == "unfinished"
    assert 200 < len(run.curves["loss"]) <= 1000  # wandb keeps up to a block to itself
    assert run.curves["loss"] == [(i, i) for i in range(len(run.curves["loss"]))]


def test_a_run_that_failed_says_so(tmp_path: Path) -> None:
    wandb.init(project="zoo", dir=tmp_path, name="broken").finish(exit_code=3)
    wandb.teardown()  # before it, the file is not written out
    (run,) = find_runs([tmp_path])
    assert (run.state, run.name) == ("failed", "broken")


def test_a_folder_of_wandbs_holds_each_run_once(log: Path) -> None:
    for place in (log, log.parent, log.parents[1], log.parents[2]):
        (run,) = find_runs([place])
        assert run.name == "tiny"
        assert run.config == {"model.dim": 8}
        assert run.metrics["loss"] == 1 / 400
        assert run.metrics["best.x"] == 1
        assert math.isnan(run.metrics["odd"])
    assert run.curves["loss"][:2] == [(0, 1.0), (2, 0.5)]
    assert run.curves["val/ndcg@10"][0] == (18, 9 / 400)
