"""Every model of RecBole from its shipped config: fitted for a few steps, validated, tested, exported and asked."""

import json
import math
from pathlib import Path

import polars as pl
import pytest

from recsys import atomic, checkpoints
from recsys.errors import InputError
from recsys.models.recbole_zoo import DOT_PRODUCT, FEATURED, OTHER_SCORES, defaults
from recsys.recommender import Recommender
from recsys.training.cli import run

SMALL = {"embedding_size": 8, "hidden_size": 8, "inner_size": 8, "reranker_CAN_NUM": 5, "prototype_size": 6}
KINDS = {"item_id": "token", "class": "token_seq", "year": "token"}


@pytest.fixture(scope="module")
def films(zoo) -> Path:
    """The shared data set without requests, with an `.item` file beside it."""
    folder = zoo.root / "data" / "films"
    inter = (zoo.generic / "plain.inter").read_text("utf-8")
    items = pl.DataFrame(
        {
            "item_id": [f"i{i}" for i in range(30)],
            "class": [["funny", "sad", "long"][: i % 4] for i in range(30)],
            "year": [str(1990 + i % 5) for i in range(30)],
        }
    )
    atomic.write(items, folder / "films.item", KINDS)
    (folder / "films.inter").write_text(inter, "utf-8")
    return folder


def args(zoo, films: Path, verb: str, model: str, *more: str) -> list[str]:
    small = {name: size for name, size in SMALL.items() if name in defaults(model)} if model != "BERT4Rec" else {}
    network = [
        part for name, size in small.items() for part in (f"--model.network.init_args.settings.{name}", str(size))
    ]
    data = ["--data.path", str(films), "--data.vocabulary", "train", "--data.batch_size", "16", "--data.max_len", "6"]
    data += ["--data.stride", "1"]
    trainer = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "3", "--trainer.accelerator", "cpu"]
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false", "--trainer.logger=false"]
    folders = ["--runs", str(zoo.runs), "--name", f"zoo-{model}"]
    return [verb, "--config", f"recbole/{model}", *data, *network, *trainer, *quiet, *folders, *more]


@pytest.mark.parametrize("model", sorted(DOT_PRODUCT | OTHER_SCORES | {"BERT4Rec"}))
def test_it_trains_validates_tests_exports_and_recommends(zoo, films, model):
    fitted = run(args(zoo, films, "fit", model))
    assert fitted.trainer.global_step == 3
    fitted.trainer.test(fitted.model, fitted.datamodule, verbose=False)
    (folder,) = zoo.folders(f"zoo-{model}")
    tested = json.loads((folder / "test.json").read_text("utf-8"))
    assert tested["model"] == model
    assert all(math.isfinite(value) for value in tested["metrics"].values())
    checkpoint = checkpoints.load(folder / "checkpoint")
    assert 0 <= checkpoint.metrics["val/ndcg@10"] <= 1
    assert ("features" in checkpoint.network.hyperparameters) == (model in FEATURED)
    if checkpoint.network.embeds_users:
        with pytest.raises(InputError, match=f"{model} has a vector for each user .* none for anyone else"):
            Recommender(checkpoint)
    else:
        assert len(Recommender(checkpoint).recommend(["i1", "i2"], k=3).item_ids) == 3


def test_a_loss_can_be_chosen_once_recboles_own_is_given_up(zoo, films, refused):
    sampled = ["--model.loss", "SampledSoftmax", "--model.loss.init_args.negatives", "4"]
    told = refused(*args(zoo, films, "fit", "GRU4Rec", *sampled))
    assert "--model.loss SampledSoftmax: GRU4Rec is trained by RecBole's own loss" in told
    given_up = ["--model.network.init_args.settings.loss_type", "model.loss"]
    assert " ".join(given_up) in told
    fitted = run(args(zoo, films, "fit", "GRU4Rec", *sampled, *given_up, "--name", "zoo-sampled"))
    assert fitted.model.loss.negatives == 4
    (folder,) = zoo.folders("zoo-sampled")
    assert len(Recommender.from_pretrained(folder / "checkpoint").recommend(["i1", "i2"], k=3).item_ids) == 3


def test_features_of_qilin_are_its_taxonomies(zoo, films):
    more = ["--model.network.init_args.settings.selected_features=[taxonomy1, taxonomy2]", "--name", "zoo-qilin"]
    run(args(zoo, films, "fit", "GRU4RecF", "--data.path", str(zoo.qilin), *more))
    (folder,) = zoo.folders("zoo-qilin")
    network = checkpoints.load(folder / "checkpoint").network
    assert list(network.hyperparameters["features"]) == ["taxonomy1", "taxonomy2"]
    assert network.feature_0.max() > 0


@pytest.mark.parametrize(
    ("data", "columns", "sentence"),
    [
        ("films", "[class, yeer]", "films.item: no column 'yeer' of tokens, for the model. Did you mean 'year'?"),
        ("films", "[]", "selected_features names no column of the items"),
        ("plain", "[class]", "plain.item: no such file; the model reads the column 'class' of it"),
    ],
)
def test_columns_that_are_not_there_are_one_sentence(zoo, films, refused, data, columns, sentence):
    more = ["--model.network.init_args.settings.selected_features", columns, "--data.path", str(films.parent / data)]
    assert sentence in refused(*args(zoo, films, "fit", "SASRecF", *more, "--name", "misspelt"))
