"""Models that read searches grown from a trained one: what stays, what changes, and never ending below the start."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from recsys import checkpoints
from recsys.models import SearchSASRec

SMALL = ["--model.network.init_args.buckets", "97", "--model.warm_start", "sasrec"]
SCALE = "query_fusion.scale"


@pytest.fixture(scope="module")
def grown(zoo, sasrec: Path) -> Callable[..., Path]:
    """Fit a SearchSASRec under a name, once."""

    def fit(name: str, *more: str) -> Path:
        if not zoo.folders(name):
            assert zoo("fit", name, *SMALL, *more, config="searchsasrec_qilin") == 0
        (run,) = zoo.folders(name)
        return run

    return fit


def state(run: Path, name: str) -> dict[str, torch.Tensor]:
    content = torch.load(run / "checkpoints" / name, weights_only=True)["state_dict"]
    return {key.removeprefix("network."): value for key, value in content.items()}


def changed(backbone: dict[str, torch.Tensor], grown: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in backbone if not torch.equal(backbone[name], grown[name])}


def test_the_frozen_backbone_stays_bit_equal_while_the_branch_learns(sasrec: Path, grown) -> None:
    run = grown("frozen", "--model.learning_rate", "0.05")
    backbone = load_file(sasrec / "checkpoint" / "model.safetensors")
    assert changed(backbone, state(run, "last.ckpt")) == set()
    assert changed(backbone, load_file(run / "checkpoint" / "model.safetensors")) == set()
    assert state(run, "last.ckpt")[SCALE].abs().sum() > 0


def test_queries_agree_with_the_items_of_a_frozen_backbone(sasrec: Path, grown) -> None:
    run = grown("agreeing", "--model.learning_rate", "0.05", "--model.network.init_args.agreement", "1")
    backbone, last = load_file(sasrec / "checkpoint" / "model.safetensors"), state(run, "last.ckpt")
    assert changed(backbone, last) == set()
    assert last["query_direct.scale"].abs().sum() > 0


def test_an_unfrozen_backbone_learns_too(sasrec: Path, grown) -> None:
    run = grown("unfrozen", "--model.freeze_backbone", "false")
    backbone = load_file(sasrec / "checkpoint" / "model.safetensors")
    assert "item_embedding.weight" in changed(backbone, state(run, "last.ckpt"))


@pytest.mark.parametrize(("name", "rate"), [("still", "0"), ("ruined", "10")])
def test_the_start_is_exported_when_nothing_improves_on_it(sasrec: Path, grown, name: str, rate: str) -> None:
    run = grown(name, "--model.learning_rate", rate)
    start, exported = checkpoints.load(sasrec / "checkpoint"), checkpoints.load(run / "checkpoint")
    callbacks = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"].values()
    (best,) = (float(each["best_model_score"]) for each in callbacks if each.get("monitor") == "val/ndcg@10")
    before = start.metrics["val/ndcg@10"]
    assert isinstance(exported.network, SearchSASRec)
    assert changed(start.network.state_dict(), exported.network.state_dict()) == set()
    assert exported.metrics["val/ndcg@10"] == pytest.approx(max(before, best), rel=1e-6)
    assert (exported.network.query_fusion.scale.abs().sum() == 0) == (before >= best * (1 - 1e-6))
    assert (state(run, "last.ckpt")[SCALE].abs().sum() > 0) == (name == "ruined")


def test_without_the_validation_before_the_first_step_only_epochs_are_candidates(grown) -> None:
    run = grown("unsure", "--model.learning_rate", "100", "--trainer.num_sanity_val_steps", "0")
    assert checkpoints.load(run / "checkpoint").network.state_dict()[SCALE].abs().sum() > 0


def test_a_warm_start_can_be_a_checkpoint_folder(zoo, sasrec: Path) -> None:
    folder = str(sasrec / "checkpoint")
    args = [*SMALL, "--model.warm_start", folder, "--model.learning_rate", "0"]
    assert zoo("fit", "fromfolder", *args, config="searchsasrec_qilin") == 0
    (run,) = zoo.folders("fromfolder")
    backbone = load_file(sasrec / "checkpoint" / "model.safetensors")
    assert changed(backbone, load_file(run / "checkpoint" / "model.safetensors")) == set()


@pytest.mark.slow
def test_one_command_trains_what_to_grow_from_where_there_is_none(zoo, tmp_path: Path) -> None:
    network = ["--model.network.init_args.buckets", "97", "--model.network.init_args.dropout", "0.4"]
    args = ["--runs", str(tmp_path), *network, "--model.exclude_seen", "true"]
    assert zoo("fit", "both", *args, config="searchsasrec_qilin") == 0
    (first,), (second,) = (list((tmp_path / name).iterdir()) for name in ("sasrec_qilin", "both"))
    stage = yaml.safe_load((first / "config.yaml").read_text("utf-8"))
    assert stage["model"]["network"]["class_path"].endswith(".SASRec")
    shape = stage["model"]["network"]["init_args"]
    assert (shape["dim"], shape["inner_dim"], shape["dropout"]) == (8, 16, 0.2)  # its own dropout, the other's shape
    assert (stage["data"]["min_count"], stage["model"]["exclude_seen"], stage["seed_everything"]) == (1, True, 0)
    backbone = load_file(first / "checkpoint" / "model.safetensors")
    assert changed(backbone, load_file(second / "checkpoint" / "model.safetensors")) == set()
    assert zoo("fit", "both", *args, "--trainer.max_epochs", "0", config="searchsasrec_qilin") == 0
    assert len(list((tmp_path / "sasrec_qilin").iterdir())) == 1, "it is there now"


def test_a_warm_start_that_is_neither_a_run_nor_a_config_is_refused(refused, zoo) -> None:
    said = refused(*zoo.args("fit", "lost", *SMALL, "--model.warm_start", "sasrec_qilim", config="searchsasrec_qilin"))
    assert said.startswith("--model.warm_start sasrec_qilim: neither a finished run under")
    assert "sasrec_qilin" in said


def test_interleaved_tokens_cannot_have_a_frozen_backbone(refused, zoo, sasrec: Path) -> None:
    args = [*SMALL, "--model.network.init_args.fusion", "interleave"]
    said = refused(*zoo.args("fit", "mixed", *args, config="searchsasrec_qilin"))
    assert "set --model.freeze_backbone false" in said


def test_training_goes_on_with_everything_from_a_model_like_itself(zoo, grown) -> None:
    before = grown("frozen", "--model.learning_rate", "0.05")
    folder = before / "checkpoint"
    args = ["--model.warm_start", str(folder), "--model.freeze_backbone", "false", "--model.learning_rate", "0"]
    run = grown("thawed", *args)
    assert checkpoints.load(run / "checkpoint").metrics["val/ndcg@10"] == pytest.approx(
        checkpoints.load(folder).metrics["val/ndcg@10"], rel=1e-6
    )
    assert changed(load_file(folder / "model.safetensors"), state(run, "last.ckpt")) == set()


def test_bert4rec_grows_too(zoo) -> None:
    assert zoo("fit", "bert4rec", config="bert4rec_qilin") == 0
    args = [
        "--model.network.init_args.buckets",
        "97",
        "--model.warm_start",
        "bert4rec",
        "--model.learning_rate",
        "0.05",
    ]
    assert zoo("fit", "searchbert4rec", *args, config="searchbert4rec_qilin") == 0
    (first,), (second,) = zoo.folders("bert4rec"), zoo.folders("searchbert4rec")
    backbone = load_file(first / "checkpoint" / "model.safetensors")
    assert changed(backbone, state(second, "last.ckpt")) == set()
    assert state(second, "last.ckpt")[SCALE].abs().sum() > 0


def test_the_grown_model_can_be_tested_without_its_warm_start_being_repeated(zoo, grown) -> None:
    grown("frozen", "--model.learning_rate", "0.05")
    assert zoo("test", "frozen", *SMALL, config="searchsasrec_qilin") == 0
    assert (zoo.folders("frozen")[0] / "test.json").is_file()
