"""A checkpoint comes back to the bit, or a sentence says which file is at fault."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import safetensors.torch
import torch
from tiny_checkpoint import agree

from recsys import checkpoints
from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint
from recsys.errors import InputError
from recsys.files import sha256
from recsys.models import (
    HSTU,
    BERT4Rec,
    CausalTransformer,
    SASRec,
    SearchBERT4Rec,
    SearchSASRec,
    SESRec,
    UniSAR,
    eSASRec,
)

ITEMS = Vocabulary(["n7", "猫", 'a "b"', "42", "x"])
SIZE = {"n_items": len(ITEMS), "max_len": 5, "dim": 8, "layers": 1, "heads": 2}
SHAPE = {**SIZE, "inner_dim": 8}
NETWORKS = {
    "SASRec": lambda: SASRec(**SHAPE),
    "BERT4Rec": lambda: BERT4Rec(**SHAPE, mask_ratio=0.3),
    "SearchSASRec": lambda: SearchSASRec(**SHAPE, buckets=31),
    "SearchSASRec, cross": lambda: SearchSASRec(**SHAPE, buckets=31, fusion="cross", gram_dropout=0.1),
    "SearchSASRec, agreement": lambda: SearchSASRec(**SHAPE, buckets=31, agreement=0.5),
    "SearchBERT4Rec": lambda: SearchBERT4Rec(**SHAPE, buckets=31),
    "SESRec": lambda: SESRec(**SHAPE, buckets=31, split="soft", contrast=0.01, agreement=0.2, temperature=0.3),
    "UniSAR": lambda: UniSAR(**SHAPE, buckets=31, max_searches=3, negatives=2, alignment=0.2),
    "HSTU": lambda: HSTU(**SIZE, positions=False, tied=False),
    "eSASRec": lambda: eSASRec(**SHAPE, time_bias=True),
    "CausalTransformer": lambda: CausalTransformer(**SHAPE, residual="post", temperature=0.1),
}
SIX = {"model.safetensors", "config.json", "items.tsv", "metrics.json", "README.md", "manifest.json"}


def checkpoint(model="SASRec"):
    torch.manual_seed(0)
    network = NETWORKS[model]()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return Checkpoint(
        network=network.eval(),
        items=ITEMS,
        popularity=np.array([0, 5, 0, 2, 9, 1]),
        data={"name": "tiny", "fingerprint": "f" * 64, "synthetic": True},
        metrics={"test/ndcg@10": 0.125, "test/popular/ndcg@10": 0.0625, "test/ndcg@5": 0.1},
        intervals={"test/ndcg@10": (0.1, 0.15)},
    )


@pytest.fixture
def saved(tmp_path):
    checkpoints.save(checkpoint(), tmp_path / "saved")
    return tmp_path / "saved"


def edit(folder, name, change):
    """Change a JSON file and make the manifest agree, as somebody would who means it."""
    content = json.loads((folder / name).read_text("utf-8"))
    change(content)
    (folder / name).write_text(json.dumps(content), "utf-8")
    agree(folder, name)


def scores(network, batch):
    with torch.no_grad():
        return network.encode(batch) @ network.item_vectors().T


@pytest.mark.parametrize("model", NETWORKS)
def test_what_is_saved_comes_back_to_the_bit(tmp_path, batch_of_one, model):
    before = checkpoint(model)
    checkpoints.save(before, tmp_path / "saved")
    after = checkpoints.load(tmp_path / "saved")
    assert type(after.network).__name__ == model.partition(",")[0]
    assert torch.equal(scores(after.network, batch_of_one), scores(before.network, batch_of_one))
    assert after.network.hyperparameters == before.network.hyperparameters
    assert not after.network.training
    assert after.items == before.items
    assert after.popularity.tolist() == before.popularity.tolist()
    assert (after.data, after.metrics, after.intervals) == (before.data, before.metrics, before.intervals)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_come_back_in_their_precision(tmp_path, precision):
    before = checkpoint()
    before.network.to(precision)
    checkpoints.save(before, tmp_path / "saved")
    after = checkpoints.load(tmp_path / "saved").network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.network.state_dict().items())
    assert {tensor.dtype for tensor in after.values()} == {precision}


def test_the_six_files_and_no_pickle(saved):
    assert {path.name for path in saved.iterdir()} == SIX
    assert {*checkpoints.FILES, "manifest.json"} == SIX
    assert all(path.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x04", b"PK") for path in saved.iterdir())
    assert safetensors.torch.load_file(saved / "model.safetensors").keys() == checkpoint().network.state_dict().keys()


def test_other_programs_can_read_the_parts(saved):
    items = pl.read_csv(saved / "items.tsv", separator="\t", quote_char=None, schema_overrides=[pl.String, pl.Int64])
    assert items.to_dict(as_series=False) == {
        "item_id:token": list(ITEMS.tokens),
        "popularity:float": [5, 0, 2, 9, 1],
    }
    config = json.loads((saved / "config.json").read_text("utf-8"))
    assert (config["format"], config["model"], config["hyperparameters"]["dim"]) == (2, "SASRec", 8)
    assert json.loads((saved / "metrics.json").read_text()) == {
        "metrics": checkpoint().metrics,
        "intervals": {"test/ndcg@10": [0.1, 0.15]},
    }
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest == {
        name: {"sha256": sha256(saved / name), "size": (saved / name).stat().st_size} for name in checkpoints.FILES
    }


def test_the_card_says_what_it_is(saved):
    card = (saved / "README.md").read_text("utf-8")
    assert card.startswith('---\nlibrary_name: "recsys-zoo"\n')
    assert "\n# SASRec on tiny\n" in card
    assert "Synthetic data" in card
    assert "Vocabulary: 5 items" in card
    assert "| test/ndcg@10 | 0.1250 | [0.1000, 0.1500] | 0.0625 |" in card
    assert "ndcg@5" not in card
    assert all(f"\n## {part}\n" in card for part in ("Data and protocol", "Intended use", "Limits", "Licence"))
    assert "not named. Ask whose data it is" in card


def test_two_savings_of_one_model_are_the_same_files(saved, tmp_path):
    checkpoints.save(checkpoint(), tmp_path / "again")
    assert {name: sha256(saved / name) for name in SIX} == {name: sha256(tmp_path / "again" / name) for name in SIX}


@pytest.mark.parametrize("name", sorted(checkpoints.FILES))
@pytest.mark.parametrize("place", [0, -1, "middle"])
def test_a_flipped_byte(saved, name, place):
    content = bytearray((saved / name).read_bytes())
    content[len(content) // 2 if place == "middle" else place] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: damaged"):
        checkpoints.load(saved)


def test_every_flipped_byte_of_the_manifest_that_matters(saved):
    """White space may change; nothing else may."""
    path = saved / "manifest.json"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        content = bytearray(whole)
        content[place] ^= 1
        path.write_bytes(content)
        if whole[place : place + 1].isspace() and content[place : place + 1].isspace():
            continue
        with pytest.raises(InputError):
            checkpoints.load(saved)
    path.write_bytes(whole)
    checkpoints.load(saved)


@pytest.mark.parametrize("name", sorted(SIX))
def test_a_missing_file(saved, name):
    (saved / name).unlink()
    with pytest.raises(InputError, match=f"{name}: missing from the checkpoint"):
        checkpoints.load(saved)


@pytest.mark.parametrize("name", sorted(checkpoints.FILES))
def test_a_link_to_somewhere_else(saved, tmp_path, name):
    (saved / name).rename(tmp_path / name)
    (saved / name).symlink_to(tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: missing from the checkpoint, or not a plain file"):
        checkpoints.load(saved)


def test_a_shortened_file(saved):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"model\.safetensors: damaged"):
        checkpoints.load(saved)


def test_no_such_folder(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such checkpoint folder"):
        checkpoints.load(tmp_path / "nowhere")


def test_a_manifest_without_an_entry(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    del manifest["README.md"]
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"manifest\.json: no entry with sha256 and size for README\.md"):
        checkpoints.load(saved)


@pytest.mark.parametrize("content", ["[]", '"x"', "{", "", b"\xff\xfe"])
def test_a_manifest_that_is_none(saved, content):
    (saved / "manifest.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=r"manifest\.json: not (JSON|a JSON object)"):
        checkpoints.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "format 1, this version reads 2. Export it again"),
        ({"format": None}, "format None"),
        ({"model": "SASrec"}, r"unknown model 'SASrec'. Did you mean 'SASRec'\?"),
        ({"model": "Model"}, "unknown model 'Model'"),
        (
            {"model": "Batch"},
            "'Batch'. Known: BERT4Rec, CausalTransformer, HSTU, RecBole, SASRec, SESRec, SearchBERT4Rec, SearchSASRec, "
            "UniSAR, eSASRec",
        ),
        ({"model": ["SASRec"]}, "unknown model"),
        ({"hyperparameters": {**SHAPE, "depth": 3}}, "no hyperparameters of SASRec .*depth"),
        ({"hyperparameters": {**SHAPE, "heads": 3}}, "no hyperparameters of SASRec"),
        ({"hyperparameters": {**SHAPE, "heads": 0}}, "no hyperparameters of SASRec"),
        ({"hyperparameters": {**SHAPE, "n_items": -1}}, "no hyperparameters of SASRec"),
        ({"hyperparameters": {**SHAPE, "dim": "8"}}, "no hyperparameters of SASRec"),
        ({"hyperparameters": {}}, "no hyperparameters of SASRec"),
        ({"hyperparameters": [6]}, "no hyperparameters of SASRec"),
    ],
)
def test_a_foreign_configuration(saved, change, message):
    edit(saved, "config.json", lambda config: config.update(change))
    with pytest.raises(InputError, match=f"config.json: .*{message}"):
        checkpoints.load(saved)


@pytest.mark.parametrize("change", [{"dim": 16}, {"layers": 2}, {"max_len": 6}, {"n_items": 7}])
def test_weights_of_another_shape(saved, change):
    edit(saved, "config.json", lambda config: config["hyperparameters"].update(change))
    with pytest.raises(InputError, match=r"model\.safetensors: not the weights of the model in config\.json"):
        checkpoints.load(saved)


def test_weights_that_are_none(saved):
    (saved / "model.safetensors").write_bytes(b"not tensors")
    agree(saved, "model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors: not the weights"):
        checkpoints.load(saved)


def test_items_of_another_model(saved):
    (saved / "items.tsv").write_text("item_id:token\tpopularity:float\n" + "".join(f"other{i}\t1\n" for i in range(5)))
    agree(saved, "items.tsv")
    with pytest.raises(InputError, match=r"items\.tsv: not the vocabulary that config\.json names"):
        checkpoints.load(saved)


def test_fewer_items_than_the_model_has(tmp_path):
    short = replace(checkpoint(), items=Vocabulary(ITEMS.tokens[:4]), popularity=np.zeros(5, int))
    checkpoints.save(short, tmp_path / "saved")
    with pytest.raises(InputError, match=r"items\.tsv: 4 items, but the model has 5"):
        checkpoints.load(tmp_path / "saved")


HEADER = b"item_id:token\tpopularity:float\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no table",
        b"PAR1PAR1",
        b"item_id:token\nn7\n",
        HEADER + b"n7\tmany\n",
        HEADER + b"n7\t1\t2\n",
        HEADER + b"\xff\xfe\t1\n",
    ],
)
def test_items_that_are_no_table(saved, content):
    (saved / "items.tsv").write_bytes(content)
    agree(saved, "items.tsv")
    with pytest.raises(InputError, match=r"items\.tsv: not a table of item_id and popularity"):
        checkpoints.load(saved)


@pytest.mark.parametrize("clicks", ["-1", "0.5", "nan", "inf", "1e30", ""])
def test_clicks_that_are_no_number_of_clicks(saved, clicks):
    (saved / "items.tsv").write_bytes(HEADER + f"n7\t{clicks}\n".encode())
    agree(saved, "items.tsv")
    with pytest.raises(InputError, match=r"items\.tsv: a popularity is no number of clicks"):
        checkpoints.load(saved)


@pytest.mark.parametrize("second", ["n7", ""])
def test_ids_that_tell_nothing_apart(saved, second):
    (saved / "items.tsv").write_bytes(HEADER + f"n7\t1\n{second}\t1\n".encode())
    agree(saved, "items.tsv")
    with pytest.raises(InputError, match=r"items\.tsv: an item_id is empty, or stands there twice"):
        checkpoints.load(saved)


def test_saving_over_an_older_checkpoint_replaces_all_of_it(saved):
    (saved / "left over").write_text("x")
    checkpoints.save(checkpoint("BERT4Rec"), saved)
    assert {path.name for path in saved.iterdir()} == SIX
    assert isinstance(checkpoints.load(saved).network, BERT4Rec)
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_a_failure_in_the_middle_leaves_the_old_checkpoint(saved, batch_of_one):
    before = scores(checkpoints.load(saved).network, batch_of_one)
    broken = replace(checkpoint("BERT4Rec"), metrics={"test/ndcg@10": object()})  # JSON fails after weights and items
    with pytest.raises(TypeError):
        checkpoints.save(broken, saved)
    assert torch.equal(scores(checkpoints.load(saved).network, batch_of_one), before)
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]


def test_saving_leaves_the_network_as_it_is(tmp_path):
    one = checkpoint()
    one.network.train()
    before = {name: tensor.clone() for name, tensor in one.network.state_dict().items()}
    checkpoints.save(one, tmp_path / "saved")
    assert one.network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in one.network.state_dict().items())
