"""`recsys fit`: what a run leaves in its folder, that it can be repeated, and that it can be resumed."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from recsys import checkpoints
from recsys.__main__ import main
from recsys.data.dataset import load
from recsys.data.histories import histories


@pytest.fixture(scope="module")
def once(zoo) -> Path:
    assert zoo("fit", "seeded", "--seed_everything", "7") == 0
    return zoo.folders("seeded")[-1]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoint" / "model.safetensors")


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def resumable(run: Path, name: str) -> dict:
    return torch.load(run / "checkpoints" / name, weights_only=True)


def test_a_run_holds_its_configuration_its_state_its_checkpoint_and_its_log(sasrec: Path) -> None:
    assert {file.name for file in (sasrec / "checkpoint").iterdir()} == {*checkpoints.FILES, "manifest.json"}
    assert {file.name for file in (sasrec / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    logs = list((sasrec / "wandb").glob("offline-run-*/*.wandb"))
    assert logs
    assert all(log.stat().st_size > 0 for log in logs)
    assert {file.name for file in sasrec.iterdir()} >= {"checkpoint", "checkpoints", "config.yaml", "wandb"}


def test_the_configuration_of_a_run_is_complete_and_runs_again(zoo, sasrec: Path) -> None:
    config = yaml.safe_load((sasrec / "config.yaml").read_text())
    assert config["name"] == "sasrec"
    assert config["model"]["network"]["init_args"]["dim"] == 8
    assert config["early_stopping"]["monitor"] == "val/ndcg@10"
    with pytest.raises(SystemExit) as printed:
        main(["fit", "--config", str(sasrec / "config.yaml"), "--print_config"])
    assert printed.value.code == 0


def test_the_best_weights_are_what_is_exported(zoo, sasrec: Path) -> None:
    exported, best = checkpoints.load(sasrec / "checkpoint"), resumable(sasrec, "best.ckpt")
    network = exported.network
    batch = _requests(zoo)
    with torch.inference_mode():
        scores = network.encode(batch) @ network.item_vectors().T
        network.load_state_dict({name.removeprefix("network."): w for name, w in best["state_dict"].items()})
        assert torch.equal(scores, network.encode(batch) @ network.item_vectors().T)
    (monitored,) = (state for state in best["callbacks"].values() if state.get("monitor") == "val/ndcg@10")
    assert exported.metrics == {"val/ndcg@10": pytest.approx(float(monitored["best_model_score"]))}


def test_the_last_state_is_that_of_the_last_epoch_whatever_was_best(sasrec: Path) -> None:
    assert resumable(sasrec, "last.ckpt")["epoch"] == 5
    assert resumable(sasrec, "best.ckpt")["epoch"] <= 5


def test_resumable_states_hold_nothing_that_runs_code(sasrec: Path) -> None:
    for file in (sasrec / "checkpoints").iterdir():
        assert "state_dict" in torch.load(file, weights_only=True)


def test_the_model_takes_its_vocabulary_and_length_from_the_data(zoo, sasrec: Path) -> None:
    dataset = load(zoo.qilin)
    hyperparameters = json.loads((sasrec / "checkpoint" / "config.json").read_text())["hyperparameters"]
    assert hyperparameters["n_items"] == len(dataset.items)
    assert hyperparameters["max_len"] == 50
    assert checkpoints.load(sasrec / "checkpoint").items.sha256 == dataset.items.sha256


def test_the_same_seed_gives_the_same_weights_in_a_folder_of_its_own(zoo, once: Path) -> None:
    assert zoo("fit", "seeded", "--seed_everything", "7") == 0
    again = zoo.folders("seeded")[-1]
    assert again != once
    assert equal(weights(once), weights(again))
    assert len(list((again / "wandb").glob("offline-run-*"))) == 1


def test_another_seed_gives_other_weights(zoo, once: Path) -> None:
    assert zoo("fit", "otherseed", "--seed_everything", "8") == 0
    assert not equal(weights(once), weights(zoo.folders("otherseed")[-1]))


def test_resuming_goes_on_in_the_same_run(zoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo("fit", "resumed", "--ckpt_path", "last") == 0
    assert "starting a new one" in capsys.readouterr().err
    (run,) = zoo.folders("resumed")
    first = resumable(run, "last.ckpt")
    assert first["epoch"] == 0
    assert zoo("fit", "resumed", "--ckpt_path", "last", "--trainer.max_epochs", "3") == 0
    assert f"Resuming {run}" in capsys.readouterr().err
    assert zoo.folders("resumed") == [run]
    last = resumable(run, "last.ckpt")
    assert last["epoch"] == 2
    assert last["global_step"] == 3 * first["global_step"]


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(zoo) -> None:
    assert zoo("fit", "whole", "--trainer.max_epochs", "2", "--model.network.init_args.dropout", "0") == 0
    assert zoo("fit", "parts", "--model.network.init_args.dropout", "0") == 0
    assert (
        zoo("fit", "parts", "--ckpt_path", "last", "--trainer.max_epochs", "2", "--model.network.init_args.dropout=0")
        == 0
    )
    whole, parts = (resumable(zoo.folders(name)[-1], "last.ckpt")["state_dict"] for name in ("whole", "parts"))
    assert equal(whole, parts)


def test_resuming_a_file_makes_a_new_run(zoo, once: Path) -> None:
    state = once / "checkpoints" / "last.ckpt"
    assert zoo("fit", "branched", "--ckpt_path", str(state), "--trainer.max_epochs", "2") == 0
    (run,) = zoo.folders("branched")
    assert resumable(run, "last.ckpt")["epoch"] == 1
    assert torch.load(state, weights_only=True)["epoch"] == 0


def test_of_several_config_files_the_later_wins(zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text("data: {max_len: 11, stride: 3}\nname: a\n")
    (tmp_path / "b.yaml").write_text("data: {max_len: 12}\n")
    files = ["--config", str(tmp_path / "a.yaml"), "--config", str(tmp_path / "b.yaml")]
    with pytest.raises(SystemExit) as printed:
        main(["fit", "--config", "sasrec_qilin", *files, "--data.batch_size=9", "--print_config"])
    assert printed.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    data = {"path": "data/qilin", "max_len": 12, "stride": 3, "batch_size": 9, "min_count": 2}
    assert data.items() <= config["data"].items()
    assert config["name"] == "a"


def _requests(zoo):
    from recsys.data.batches import BatchLoader, request_rows

    dataset = load(zoo.qilin)
    seen = histories(dataset, "valid")
    return next(iter(BatchLoader(dataset, seen, request_rows(seen, 50), 512, False, 0, 0, 1)))
