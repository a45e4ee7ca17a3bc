"""The native models from their shipped configurations, through fit, export and test."""

import json
import math

import pytest
import torch

from recsys import checkpoints
from recsys.__main__ import main


def run(zoo, verb, model, *more):
    args = zoo.args(verb, model, *more, config=f"{model}_qilin")
    if model == "hstu":  # its units have one width
        at = args.index("--model.network.init_args.inner_dim")
        del args[at : at + 2]
    assert main(args) == 0


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("hstu", []),
        ("esasrec", ["--model.network.init_args.time_bias", "true"]),
    ],
)
def test_it_trains_exports_and_is_tested(zoo, model, more):
    run(zoo, "fit", model, *more, "--trainer.max_epochs", "2")
    run(zoo, "test", model, *more)
    (folder,) = zoo.folders(model)
    metrics = json.loads((folder / "test.json").read_text())["metrics"]
    assert all(math.isfinite(value) for value in metrics.values())

    assert type(checkpoints.load(folder / "checkpoint").network).__name__.lower() == model
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    bias = next(weight for name, weight in state.items() if name.endswith("bias.time.weight"))
    assert bias.any(), "times were read, and something was learnt from them"
