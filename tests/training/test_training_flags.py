"""Mixed precision, accumulation, clipping and averaged weights: flags of Lightning's Trainer."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from recsys.__main__ import main
from recsys.checkpoints import load

EMA = ("--trainer.callbacks", "EMAWeightAveraging", "--trainer.callbacks.decay", "0.5")
FLAGS = (
    *("--trainer.precision", "bf16-mixed", "--trainer.accumulate_grad_batches", "2"),
    *("--trainer.gradient_clip_val", "0.5", *EMA),
)
MODELS = ["sasrec_qilin", "bert4rec_qilin", "searchsasrec_qilin", "esasrec_qilin", "hstu_qilin"]


@pytest.mark.parametrize("config", MODELS)
def test_lightnings_flags_together_with_every_model(zoo, config: str) -> None:
    name = f"flags_{config}"
    few = ("--trainer.limit_train_batches", "3", "--trainer.limit_val_batches", "2", "--model.warm_start", "null")
    args = zoo.args("fit", name, *few, *FLAGS, config=config)
    if config == "hstu_qilin":  # which has no such width
        place = args.index("--model.network.init_args.inner_dim")
        del args[place : place + 2]
    assert main(args) == 0
    network = load(zoo.folders(name)[-1] / "checkpoint").network
    assert all(weight.isfinite().all() for weight in network.state_dict().values())


@pytest.mark.parametrize("model", ["GRU4Rec", "NARM"])
def test_and_with_models_of_recbole(zoo, model: str) -> None:
    name, few = f"flags_{model}", ("--trainer.limit_train_batches", "3", "--trainer.limit_val_batches", "2")
    more = (*few, *FLAGS, "--data.vocabulary", "train", "--data.stride", "10")
    settings = {"settings.embedding_size": "8", "settings.hidden_size": "8"}
    assert main(zoo.args("fit", name, *more, config=f"recbole/{model}", network=settings)) == 0
    network = load(zoo.folders(name)[-1] / "checkpoint").network
    assert all(weight.isfinite().all() for weight in network.state_dict().values())


def test_the_average_of_a_grown_model_begins_as_what_it_grew_from(zoo, sasrec: Path) -> None:
    late = (*EMA, "--trainer.callbacks.update_starting_at_step", "1000", "--trainer.limit_train_batches", "2")
    more = (
        "--model.warm_start",
        "sasrec",
        "--model.freeze_backbone",
        "false",
        "--model.network.init_args.buckets",
        "97",
    )
    assert zoo("fit", "grown-average", *late, *more, config="searchsasrec_qilin") == 0
    run: Path = zoo.folders("grown-average")[-1]
    grown = load_file(run / "checkpoint" / "model.safetensors")
    for name, weight in load_file(sasrec / "checkpoint" / "model.safetensors").items():
        assert torch.equal(grown[name], weight), name
    assert load(run / "checkpoint").metrics == pytest.approx(load(sasrec / "checkpoint").metrics)


def test_the_exported_weights_are_the_averaged_ones(zoo) -> None:
    few = ("--trainer.limit_train_batches", "3")
    assert zoo("fit", "averaged", *few, *EMA) == 0
    run: Path = zoo.folders("averaged")[-1]
    kept = torch.load(run / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=True)
    name = "item_embedding.weight"
    exported = load_file(run / "checkpoint" / "model.safetensors")[name]
    assert torch.equal(exported, kept["state_dict"][f"network.{name}"])
    assert not torch.equal(exported, kept["current_model_state"][f"network.{name}"])
