"""RecBole's models through the commands: one whose score is a dot product, one with users and scores of its own."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys import checkpoints
from recsys.__main__ import main
from recsys.data.dataset import load

SETTINGS = {"TransRec": {"embedding_size": "8"}, "GRU4Rec": {"embedding_size": "8", "hidden_size": "12"}}


def args(zoo, verb: str, model: str, *more: str, data: Path | None = None) -> list[str]:
    network = [
        part for key, value in SETTINGS[model].items() for part in (f"--model.network.init_args.settings.{key}", value)
    ]
    data_args = ["--data.path", str(data or zoo.qilin), "--data.vocabulary", "train", "--data.batch_size", "64"]
    trainer = ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    quiet = ["--trainer.enable_model_summary", "false", "--runs", str(zoo.runs)]
    return [verb, "--config", f"zoo_configs/recbole/{model}.yaml", *data_args, *network, *trainer, *quiet, *more]


@pytest.fixture(scope="module")
def tested(zoo) -> Path:
    assert main(args(zoo, "fit", "TransRec")) == 0
    assert main(args(zoo, "test", "TransRec")) == 0
    return zoo.folders("TransRec")[0]


def test_scores_that_are_no_dot_product_are_evaluated_by_both_protocols(zoo, tested: Path) -> None:
    result = json.loads((tested / "test.json").read_text())
    assert result["model"] == "TransRec"
    assert {"test/ndcg@10", "test/exposed/ndcg@10", "test/popular/ndcg@10"} <= result["metrics"].keys()
    assert checkpoints.load(tested / "checkpoint").network.title == "TransRec"


def test_they_do_not_depend_on_the_batch_size(zoo, tested: Path) -> None:
    more = ["--name", "pairs", "--ckpt_path", str(tested / "checkpoint"), "--data.eval_batch_size", "2"]
    assert main(args(zoo, "test", "TransRec", *more)) == 0
    (run,) = zoo.folders("pairs")
    metrics = json.loads((run / "test.json").read_text())["metrics"]
    assert metrics == pytest.approx(json.loads((tested / "test.json").read_text())["metrics"], abs=1e-9)


def test_users_of_the_data_set_are_answered_with_their_own_vectors(zoo, tested: Path) -> None:
    assert main(args(zoo, "predict", "TransRec", "--model.k", "4")) == 0
    frame = pl.read_parquet(tested / "predictions.parquet")
    assert len(frame) == int((load(zoo.qilin).requests.split == 2).sum())
    assert (frame["item_ids"].list.len() == 4).all()


def test_nobody_else_is_served(tested: Path, refused: Callable[..., str]) -> None:
    said = refused("recommend", "--checkpoint", str(tested / "checkpoint"), "--history", "1")
    assert "TransRec has a vector for each user of its data set and none for anyone else" in said


def test_users_of_other_data_are_not_taken_for_these(zoo, tested: Path, refused: Callable[..., str]) -> None:
    """The same items and as many users, but not the same: their numbers mean someone else."""
    other = zoo.root / "data" / "other"
    rows = {suffix: (zoo.qilin / f"tiny.{suffix}").read_text("utf-8") for suffix in ("inter", "request", "search")}
    other.mkdir(parents=True)
    user = load(zoo.qilin).users[0]
    for suffix, text in rows.items():
        (other / f"other.{suffix}").write_text(text.replace(f"\t{user}\t", "\tstranger\t"), "utf-8")
    inter = rows["inter"].replace(f"\n{user}\t", "\nstranger\t")
    (other / "other.inter").write_text(inter, "utf-8")
    (other / "other.query").write_text((zoo.qilin / "tiny.query").read_text("utf-8"), "utf-8")
    more = ["--ckpt_path", str(tested / "checkpoint")]
    assert "knows the users of other data" in refused(*args(zoo, "test", "TransRec", *more, data=other))


def test_a_model_without_users_recommends_to_anyone(zoo) -> None:
    assert main(args(zoo, "fit", "GRU4Rec", data=zoo.generic)) == 0
    (run,) = zoo.folders("GRU4Rec")
    assert main(["recommend", "--checkpoint", str(run / "checkpoint"), "--history", "i1,i2", "--k", "3"]) == 0
    hyperparameters = checkpoints.load(run / "checkpoint").network.hyperparameters
    assert hyperparameters["settings"]["hidden_size"] == 12
    assert (hyperparameters["model"], hyperparameters["n_users"]) == ("GRU4Rec", 0)


def test_every_batch_tells_whose_history_a_point_sees(zoo) -> None:
    from recsys.data import SequenceData

    data = SequenceData(str(zoo.qilin), batch_size=16)
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for batch in loader:
            expected = data.dataset.requests.user[batch.request.numpy()] + 1
            assert batch.user.tolist() == expected.tolist()
    assert data.n_users == len(data.dataset.users) + 1 > int(np.max(expected))


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        ("--model.network.init_args.model", "GRU4Rek", "Did you mean 'GRU4Rec'?"),
        ("--model.network.init_args.settings.hidden_sise", "3", "Did you mean 'hidden_size'?"),
    ],
)
def test_a_slip_is_one_sentence(zoo, refused: Callable[..., str], flag: str, value: str, sentence: str) -> None:
    assert sentence in refused(*args(zoo, "fit", "GRU4Rec", flag, value, "--name", "misspelt"))
