"""A conversion is written whole or not at all, and not again while nothing has changed."""

import json
import os
import signal
import subprocess
import sys
from functools import partial

import pytest
from qilin_tiny import rec, shown

from recsys.errors import InputError
from recsys.qilin import Options, convert, synthesize


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_second_run_does_nothing_and_says_so(raw, tmp_path):
    root, output = raw(), tmp_path / "out"
    first = convert(root, output)
    times = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    steps = []
    assert convert(root, output, progress=steps.append) == {**first, "unchanged": True}
    assert not steps
    assert {path: path.stat().st_mtime_ns for path in output.iterdir()} == times


def test_other_options_are_another_conversion(raw, tmp_path):
    root, output = raw(), tmp_path / "out"
    first = convert(root, output)
    second = convert(root, output, Options(seed=1))
    assert "unchanged" not in second
    assert second["sha256"]["out.item"] != first["sha256"]["out.item"]


def test_changed_input_is_converted_again(raw, tmp_path):
    output = tmp_path / "out"
    convert(raw(), output)
    changed = convert(raw(recommendation_test=[rec(2, 1, [shown(14, 80_000, click=1)])]), output)
    assert "unchanged" not in changed


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("x")])
def test_damaged_output_is_converted_again(raw, tmp_path, damage):
    root, output = raw(), tmp_path / "out"
    convert(root, output)
    before = contents(output)
    damage(output / "out.search")
    convert(root, output)
    assert contents(output) == before


@pytest.mark.parametrize("meta", ["", "{}", "[]", '{"sha256": 3}'])
def test_an_unreadable_meta_is_no_reason_to_stop(raw, tmp_path, meta):
    root, output = raw(), tmp_path / "out"
    convert(root, output)
    (output / "out.meta.json").write_text(meta)
    assert "unchanged" not in convert(root, output)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_conversion_leaves_the_old_one_and_the_next_succeeds(tmp_path, how):
    synthesize(tmp_path / "raw", users=100)
    output = tmp_path / "out"
    convert(tmp_path / "raw", output, Options(seed=1))
    before = contents(output)
    command = [sys.executable, "-m", "recsys", "convert", "qilin", "--source", str(tmp_path / "raw")]
    command += ["--output", str(output), "--partitions", "60"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs are deaf to it
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=heard)
    assert running.stderr is not None
    for line in running.stderr:
        if "writing clicks" in line:
            break
    running.send_signal(how)
    running.communicate(timeout=60)
    assert running.returncode != 0
    assert contents(output) == before
    if how != signal.SIGKILL:
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "raw"]
    convert(tmp_path / "raw", output)
    assert json.loads((output / "out.meta.json").read_text())["options"]["seed"] == 0


def test_a_full_disk_is_named_and_leaves_nothing(raw, tmp_path):
    """A limit on the size of files stands in for the disk: both end a write with an OSError."""
    root = raw()
    code = (
        "import resource, signal, sys; from recsys.__main__ import main; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)); sys.exit(main(sys.argv[1:]))"
    )
    asked = ["convert", "qilin", "--source", str(root), "--output", str(tmp_path / "out")]
    run = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert f"{tmp_path / 'out'}: cannot be written (File too large" in run.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]


def test_a_place_that_cannot_be_written_is_named(raw, tmp_path):
    root, blocked = raw(), tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        convert(root, blocked / "out")
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(InputError, match=r"locked.*cannot be written \(Permission denied\)"):
            convert(root, tmp_path / "locked" / "out")
