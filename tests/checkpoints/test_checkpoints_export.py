"""Lightning's files become checkpoints without being run, and cards say what was measured of these very weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoint import write

from recsys import checkpoints
from recsys.__main__ import main
from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint, lightning
from recsys.checkpoints.export import export
from recsys.errors import InputError
from recsys.models import BERT4Rec, RecBole, SASRec, SearchSASRec

ITEMS = Vocabulary(["n7", "猫", 'a "b"', "42", "x"])
SHAPE = {"n_items": len(ITEMS), "max_len": 5, "dim": 8, "layers": 1, "heads": 2, "inner_dim": 8}
NETWORKS = {
    "SASRec": lambda: SASRec(**SHAPE),
    "BERT4Rec": lambda: BERT4Rec(**SHAPE, mask_ratio=0.3),
    "SearchSASRec": lambda: SearchSASRec(**SHAPE, buckets=31),
    "SearchSASRec, agreement": lambda: SearchSASRec(**SHAPE, buckets=31, agreement=1.0),
    "half precision": lambda: SASRec(**SHAPE).to(torch.bfloat16),
    "GRU4Rec": lambda: RecBole("GRU4Rec", len(ITEMS), 5, settings={"hidden_size": 8}),
}


def content(network=None) -> dict:
    """What `recsys fit` saves of a network."""
    torch.manual_seed(0)
    made = Checkpoint(network or SASRec(**SHAPE), ITEMS, np.array([0, 5, 0, 2, 9, 1]), {"name": "tiny"}, {})
    state = {f"network.{name}": tensor for name, tensor in made.network.state_dict().items()}
    return {"epoch": 3, "state_dict": state, "optimizer_states": [{}], lightning.KEY: lightning.note(made)}


@pytest.fixture
def file(tmp_path):
    torch.save(content(), tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def scores(network, batch):
    with torch.no_grad():
        return network.eval().encode(batch) @ network.item_vectors().T


@pytest.mark.parametrize("name", NETWORKS)
def test_not_a_bit_of_a_score_changes(tmp_path, batch_of_one, name):
    torch.manual_seed(1)
    network = NETWORKS[name]()
    torch.save(content(network), tmp_path / "last.ckpt")
    assert main(["export", str(tmp_path / "last.ckpt"), "--output", str(tmp_path / "out")]) == 0
    made = checkpoints.load(tmp_path / "out")
    assert torch.equal(scores(made.network, batch_of_one), scores(network, batch_of_one))
    assert made.items == ITEMS
    assert made.popularity.tolist() == [0, 5, 0, 2, 9, 1]
    assert made.data == {"name": "tiny"}
    assert main(["export", str(tmp_path / "out"), "--output", str(tmp_path / "again")]) == 0
    files = ("model.safetensors", "items.tsv", "config.json", "README.md", "metrics.json", "manifest.json")
    assert all((tmp_path / "out" / each).read_bytes() == (tmp_path / "again" / each).read_bytes() for each in files)


def test_the_default_output_stands_beside_the_file(file, capsys):
    assert main(["export", str(file), "--licence", "CC0-1.0"]) == 0
    assert "Wrote SASRec of 5 items, with no metrics" in capsys.readouterr().out
    assert checkpoints.load(file.with_suffix("")).data["licence"] == "CC0-1.0"
    assert "passed on" not in (file.with_suffix("") / "README.md").read_text()


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("place", ["state_dict", "optimizer_states", lightning.KEY, "callbacks"])
def test_a_malicious_reduce_is_refused_and_not_run(file, tmp_path, capsys, place):
    torch.save(content() | {place: Evil(tmp_path / "ran")}, file)
    assert main(["export", str(file), "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "refused, it holds more than weights; nothing of it ran" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out").exists()


def facts(**changed) -> str:
    return json.dumps(json.loads(content()[lightning.KEY]["facts"]) | changed)


def noted(**changed) -> dict:
    return {lightning.KEY: content()[lightning.KEY] | changed}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({lightning.KEY: None}, "not written by `recsys fit` of this version"),
        ({"state_dict": None}, "no Lightning checkpoint"),
        ({"state_dict": {"network.x": 1}}, "no Lightning checkpoint"),
        ({"state_dict": {}}, "not the weights of the SASRec that it notes"),
        ({lightning.KEY: {}}, "what it notes of its model is damaged"),
        ({lightning.KEY: {**content()[lightning.KEY], "facts": "{"}}, "what it notes of its model is damaged"),
        ({lightning.KEY: {**content()[lightning.KEY], "facts": "[" * 99999}}, "what it notes of its model is damaged"),
        ({lightning.KEY: {**content()[lightning.KEY], "facts": facts(model="os.system")}}, "unknown model 'os.system'"),
        (
            {lightning.KEY: {**content()[lightning.KEY], "facts": facts(data=7)}},
            "what it notes of its model is damaged",
        ),
        ({lightning.KEY: {**content()[lightning.KEY], "popularity": torch.zeros(3)}}, "has not the 5 items"),
    ],
)
def test_a_file_that_is_something_else(file, change, sentence):
    torch.save(content() | change, file)
    with pytest.raises(InputError, match=sentence) as refused:
        lightning.read(file)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("garbage", [b"", b"PK\x03\x04", b"\x80\x02.", b"x" * 1000])
def test_a_file_that_is_nothing(file, garbage):
    file.write_bytes(garbage)
    with pytest.raises(InputError, match="it is not an archive that torch"):
        lightning.read(file)
    with pytest.raises(InputError, match="no such file"):
        lightning.read(file.with_name("nowhere.ckpt"))


def test_a_flipped_byte_anywhere_is_no_crash(file):
    whole = file.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        file.write_bytes(bytes(damaged))
        try:
            lightning.read(file)
        except InputError as error:
            said = str(error)
        else:
            said = "fine"
        assert "\n" not in said


@pytest.fixture
def run(tmp_path):
    """A run's folder with a checkpoint and what a test of it measured."""
    folder = write(tmp_path / "run" / "checkpoint", licence="")
    measured = {
        "test/ndcg@10": 0.3,
        "test/popular/ndcg@10": 0.1,
        "test/random/ndcg@10": 0.01,
        "test/exposed/mrr@10": 0.5,
    }
    protocol = {"split": "test", "candidates": "every item of the vocabulary", "ties": "the smaller id first"}
    result = {
        "weights_sha256": checkpoints.weights_sha256(checkpoints.load(folder).network),
        "metrics": measured,
        "intervals": {"test/ndcg@10": [0.25, 0.35], "test/random/ndcg@10": [0, 1], "test/exposed/mrr@10": [None, None]},
        "protocols": {"full": protocol},
        "requests": 1200,
        "users": 1000,
    }
    (folder.parent / "test.json").write_text(json.dumps(result))
    return folder.parent


def test_the_figures_of_the_runs_own_test_come_with_it(run, tmp_path):
    assert main(["export", str(run / "checkpoint"), "--output", str(tmp_path / "out"), "--licence", "CC0-1.0"]) == 0
    made = checkpoints.load(tmp_path / "out")
    kept = {"test/ndcg@10": 0.3, "test/popular/ndcg@10": 0.1, "test/exposed/mrr@10": 0.5, "test/ndcg@5": 0.125}
    assert made.metrics == kept
    assert made.intervals == {"test/ndcg@10": (0.25, 0.35)}
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "Measured on 1,200 requests of 1,000 users." in card
    assert "Protocol `full`: split: test; candidates: every item of the vocabulary; ties: the smaller id first." in card
    assert "| test/ndcg@10 | 0.3000 | [0.2500, 0.3500] | 0.1000 |" in card
    assert "| test/exposed/mrr@10 | 0.5000 |  |  |" in card
    assert "so of what is made from it: CC0-1.0" in card


def test_the_figures_of_other_weights_do_not(run, tmp_path):
    other = write(tmp_path / "other" / "checkpoint", n_items=200)
    (other.parent / "test.json").write_text((run / "test.json").read_text())
    assert export(other).metrics == checkpoints.load(other).metrics
    with pytest.raises(InputError, match="measured of other weights than these"):
        export(other, run / "test.json")
    for wrong in ("[]", "{", ""):
        (run / "test.json").write_text(wrong)
        with pytest.raises(InputError, match=r"measured of other weights|not what `recsys test` writes"):
            export(run / "checkpoint", run / "test.json")


def test_what_stands_at_the_output_stays_there(file, tmp_path, capsys):
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "thesis.txt").write_text("years of work")
    assert main(["export", str(file)]) == 2
    assert "exists and is no checkpoint folder; name another" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "last")]) == 2
    assert (tmp_path / "last" / "thesis.txt").read_text() == "years of work"
