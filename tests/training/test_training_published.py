"""Fits that begin with a published checkpoint, and tests of one: by name and by address."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from loopback_hub import Hub, flip, serving
from safetensors.torch import load_file

from recsys import atomic, checkpoints
from recsys.recommender.notes import by_note
from recsys.training.cli import run

SMALL = ["--model.network.init_args.buckets", "97"]
STILL = ["--model.learning_rate", "0", "--trainer.limit_train_batches", "1"]
NAME = "sasrec-qilin-synthetic"


@pytest.fixture
def hub(sasrec: Path) -> Iterator[Hub]:
    """A server that has the SASRec of these tests."""
    made = Hub(sasrec / "checkpoint", "zoo/tiny", "models")
    with serving(made):
        yield made


def weights(folder: Path) -> dict:
    return load_file(folder / "checkpoint" / "model.safetensors")


@pytest.mark.parametrize(
    ("name", "config", "more"), [("branch", "searchsasrec_qilin", SMALL), ("same", "sasrec_qilin", [])]
)
def test_a_fit_begins_with_a_published_checkpoint(zoo, sasrec: Path, hub: Hub, name, config, more) -> None:
    address = f"{hub.url}/blobs"
    assert zoo("fit", name, *more, *STILL, "--model.warm_start", address, config=config) == 0
    (made,) = zoo.folders(name)
    theirs, ours = weights(sasrec), weights(made)
    assert all((ours[key] == theirs[key]).all() for key in theirs)
    assert yaml.safe_load((made / "config.yaml").read_text())["model"]["warm_start"] == address


def test_a_published_checkpoint_is_evaluated_as_a_folder_is(zoo, sasrec: Path, hub: Hub) -> None:
    first, second = (
        run([*zoo.args("validate", "published", "--ckpt_path", source)]).model.scores
        for source in (f"{hub.url}/blobs", str(sasrec / "checkpoint"))
    )
    assert first == second
    assert sasrec not in zoo.folders("published")


@pytest.mark.parametrize(("verb", "flag"), [("fit", "--model.warm_start"), ("test", "--ckpt_path")])
def test_a_checkpoint_of_other_items_is_refused_by_its_name(zoo, refused, verb: str, flag: str) -> None:
    said = refused(*zoo.args(verb, "foreign", flag, NAME))
    assert f"{NAME}: trained on another item vocabulary than {zoo.qilin}: 2,694 items against " in said
    assert not any((made / "checkpoint").exists() for made in zoo.folders("foreign"))


@pytest.mark.parametrize(("verb", "flag"), [("fit", "--model.warm_start"), ("validate", "--ckpt_path")])
def test_what_arrives_damaged_is_not_used(zoo, refused, hub: Hub, monkeypatch, tmp_path, verb: str, flag: str) -> None:
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path))
    hub.files["model.safetensors"] = flip(hub.files["model.safetensors"])
    assert "model.safetensors arrived damaged" in refused(*zoo.args(verb, "broken", flag, f"{hub.url}/blobs"))
    assert zoo.folders("broken") == []


def test_a_fit_is_not_resumed_from_a_checkpoint(zoo, refused) -> None:
    said = refused(*zoo.args("fit", "resumed", "--ckpt_path", NAME))
    assert said.endswith("a .ckpt file resumes a fit. A checkpoint is what --model.warm_start begins with.")


def test_a_name_that_nothing_has(zoo, refused) -> None:
    said = refused(*zoo.args("test", "nothing", "--ckpt_path", "sasrec-qilin-synthetik"))
    assert "neither a folder nor the name of a checkpoint. Did you mean 'sasrec-qilin-synthetic'" in said


def test_a_model_of_qilin_can_be_asked_by_note_idx(zoo, sasrec: Path) -> None:
    own = checkpoints.load(sasrec / "checkpoint")
    note = dict(atomic.read(zoo.qilin / "tiny.item", ["item_id", "note_idx"]).iter_rows())
    assert by_note(own).items.tokens == [note[item] for item in own.items.tokens]
