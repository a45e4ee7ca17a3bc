"""The native models from their shipped configurations, through fit, export and test."""

import json
import math

import numpy as np
import polars as pl
import pytest
import torch

from recsys import checkpoints
from recsys.__main__ import main
from recsys.data import load
from recsys.data.batches import assemble, request_rows
from recsys.data.histories import histories
from recsys.training.callbacks import read_requests


def run(zoo, verb, model, *more):
    args = zoo.args(verb, model, *more, config=f"{model}_qilin")
    if model == "hstu":  # its units have one width
        at = args.index("--model.network.init_args.inner_dim")
        del args[at : at + 2]
    assert main(args) == 0


@pytest.mark.parametrize("model", ["sesrec", "unisar"])
def test_given_candidates_are_rated_and_the_catalogue_is_not(zoo, model, capsys):
    """Fit, export, test; then the exposed lists by hand, and a recommendation taken apart."""
    run(zoo, "fit", model, "--model.learning_rate", "0.01")
    run(zoo, "test", model)
    (folder,) = zoo.folders(model)
    network = checkpoints.load(folder / "checkpoint").network
    dataset = load(zoo.qilin)
    known = histories(dataset, "test")
    rows = request_rows(known, network.hyperparameters["max_len"])
    found = read_requests(folder)
    rated = {}
    for row in range(0, len(rows), 7):
        batch = assemble(dataset, known, rows, np.array([row]), training=False)
        request = int(batch.request[0])
        listed, first = torch.tensor(dataset.requests.candidate[request]), dataset.requests.candidate.offsets[request]
        with torch.inference_mode():
            (scores,) = network.candidate_scores(batch, listed[None]).numpy()
            product = network.item_vectors()[listed] @ network.encode(batch)[0]
        clicked = dataset.requests.clicked[first : first + len(listed)]
        best = [clicked[np.where(listed.numpy() > 0, each, -np.inf).argmax()] for each in (scores, product.numpy())]
        rated[dataset.requests.id[request]] = best
    asked = found.filter(pl.col("request_id").is_in(list(rated)))
    top = asked["exposed/mrr@5"] == 1
    by_rating, by_product = zip(*(rated[name] for name in asked["request_id"]), strict=True)
    assert top.to_list() == list(by_rating)
    assert list(by_rating) != list(by_product)

    capsys.readouterr()
    items = ",".join(dataset.items.tokens[:3])
    args = ["--checkpoint", str(folder / "checkpoint"), "--history", items, "--query", "red", "--explain", "--json"]
    assert main(["recommend", *args]) == 0
    for row in json.loads(capsys.readouterr().out):
        assert row["history"] + row["searches"] == pytest.approx(row["score"], abs=1e-4)
        assert row["searches"] != 0


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
