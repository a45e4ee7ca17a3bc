"""A fit that is killed goes on where it was, and ends with the very weights that it would have ended with."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

KILLED = """
import os, signal, sys
from recsys.__main__ import main
from recsys.training import SequentialRecommender

hook, at = sys.argv[1], int(sys.argv[2])
before = getattr(SequentialRecommender, hook)

def after(self, batch, index):
    if self.global_step == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(self, batch, index)

setattr(SequentialRecommender, hook, after)
main(sys.argv[3:])
"""


def last(run: Path) -> dict:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.parametrize(
    ("config", "hook", "at", "every", "found"),
    [
        ("bert4rec_qilin", "training_step", 28, 5, 25),
        ("searchsasrec_qilin", "validation_step", 21, 7, 21),  # after the last step of an epoch, before its end
    ],
)
def test_a_killed_fit_ends_as_an_uninterrupted_one(zoo, config, hook, at, every, found) -> None:
    """21 steps an epoch, with dropout, masks and Adam's moments."""
    args = ["--trainer.max_epochs", "2", "--data.batch_size", "8", "--model.warm_start", "null"]
    args += ["--trainer.num_sanity_val_steps", "0", "--save_every_n_steps", str(every)]
    assert zoo("fit", f"whole_{config}", *args, config=config) == 0
    whole = last(zoo.folders(f"whole_{config}")[-1])
    assert whole["global_step"] == 42

    name = f"killed_{config}"
    command = zoo.args("fit", name, *args, config=config)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, hook, str(at), *command],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (run,) = zoo.folders(name)
    assert last(run)["global_step"] == found
    assert zoo("fit", name, *args, "--ckpt_path", "last", config=config) == 0
    resumed = last(run)
    assert resumed["global_step"] == 42
    assert resumed["state_dict"].keys() == whole["state_dict"].keys()
    assert all(torch.equal(resumed["state_dict"][key], value) for key, value in whole["state_dict"].items())
    moments, expected = (state["optimizer_states"][0]["state"] for state in (resumed, whole))
    assert all(torch.equal(moments[i][key], value) for i in expected for key, value in expected[i].items())
