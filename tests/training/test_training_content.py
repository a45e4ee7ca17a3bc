"""Content from the command line: notes that nobody clicked in training are ranked, from a folder alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from recsys import checkpoints
from recsys.recommender import Recommender

CONTENT = ["--model.network.init_args.content", "true", "--model.network.init_args.buckets", "97"]
CATALOGUE = ["--data.vocabulary", "catalogue"]


@pytest.fixture(scope="module")
def told(zoo) -> Callable[..., Path]:
    """Fit and test a model with content over the catalogue, once."""

    def run(name: str, config: str, *more: str) -> Path:
        if not zoo.folders(name):
            for verb in ("fit", "test"):
                assert zoo(verb, name, *CONTENT, *CATALOGUE, *more, config=config) == 0
        return zoo.folders(name)[0]

    return run


@pytest.fixture(scope="module")
def sasrec_told(told) -> Path:
    return told("sasrec-told", "sasrec_qilin")


def test_every_described_note_is_in_the_vocabulary_and_the_unclicked_have_no_id(zoo, sasrec_told: Path) -> None:
    checkpoint = checkpoints.load(sasrec_told / "checkpoint")
    described = pl.read_csv(zoo.qilin / "tiny.item", separator="\t", quote_char=None, columns=[0])
    assert len(checkpoint.items) > described.height > 0
    assert (checkpoint.network.described.has_id[1:].numpy() == (checkpoint.popularity[1:] > 0)).all()
    assert 0 < (checkpoint.popularity[1:] > 0).sum() < len(checkpoint.popularity) - 1
    with torch.no_grad():
        table = checkpoint.network.item_vectors()
    assert table.isfinite().all()
    assert not torch.equal(table[1], table[2])


def test_cold_notes_are_recommended_from_the_folder_alone(sasrec_told: Path) -> None:
    one = Recommender.from_pretrained(sasrec_told / "checkpoint")
    clicked = np.flatnonzero(one._popularity.numpy() > 0)
    found = one.recommend(one.items.decode(clicked[:3]), k=len(one.items))
    cold = set(one.items.decode(np.flatnonzero(one._popularity.numpy()[1:] == 0) + 1))
    assert cold & set(found.item_ids[: len(found.item_ids) // 2])
    assert one.recommend(sorted(cold)[:3], k=3).reason == "model"  # a history of nothing but cold notes is one


def test_a_loss_that_samples_trains_it(zoo) -> None:
    more = ["--model.loss", "SampledSoftmax", "--model.loss.negatives", "64", "--trainer.limit_train_batches", "2"]
    assert zoo("fit", "told-sampled", *CONTENT, *CATALOGUE, *more, config="sasrec_qilin") == 0


def test_bert4rec_reads_content_by_the_same_line(told) -> None:
    run = told("bert4rec-told", "bert4rec_qilin")
    assert checkpoints.load(run / "checkpoint").network.described is not None


def test_grown_frozen_queries_have_a_copy_of_the_titles_encoder(told, sasrec_told: Path) -> None:
    run = told(
        "search-told", "searchsasrec_qilin", "--model.warm_start", "sasrec-told", "--model.learning_rate", "0.05"
    )
    network = checkpoints.load(run / "checkpoint").network
    assert network.hyperparameters["share_text"] is False
    before = checkpoints.load(sasrec_told / "checkpoint").network.described.text.gram_embedding.weight
    assert torch.equal(network.described.text.gram_embedding.weight, before)


def test_grown_unfrozen_queries_share_it(told, sasrec_told: Path) -> None:
    more = ["--model.warm_start", "sasrec-told", "--model.freeze_backbone", "false"]
    network = checkpoints.load(told("search-shared", "searchsasrec_qilin", *more) / "checkpoint").network
    assert network.text is network.described.text


def test_an_interrupted_fit_goes_on_with_its_content(zoo, sasrec_told: Path) -> None:
    more = ["--ckpt_path", str(sasrec_told / "checkpoints" / "last.ckpt"), "--trainer.max_epochs", "2"]
    assert zoo("fit", "told-resumed", *CONTENT, *CATALOGUE, *more, config="sasrec_qilin") == 0
