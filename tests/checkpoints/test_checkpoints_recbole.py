"""RecBole's own checkpoints: the same scores for the same items, and nothing in them ever runs."""

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest
import torch

from recsys import atomic
from recsys.__main__ import main
from recsys.checkpoints import recbole
from recsys.errors import InputError
from recsys.models import BERT4Rec, SASRec
from recsys.recommender import Recommender

TYPES = {"user_id": "token", "item_id": "token", "timestamp": "float"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a data set, RecBole's checkpoints of it, and the scores that RecBole gives."""
    root = tmp_path_factory.mktemp("recbole")
    generator = torch.Generator().manual_seed(0)
    rows = []
    for user in range(12):
        for time, item in enumerate(torch.randint(1, 20, (4 + user % 7,), generator=generator).tolist()):
            rows.append((f"u{user}", f"i{item}", 100.0 - 3 * user + time))
    rows.insert(3, ("u1", "NA", 5.0))  # pandas takes it for a missing value
    order = torch.randperm(len(rows), generator=generator).tolist()  # neither by user nor by time
    frame = pl.DataFrame([rows[i] for i in order], schema=list(TYPES), orient="row")
    atomic.write(frame, root / "small" / "small.inter", TYPES)
    items = pl.DataFrame({"item_id": ["never", *(f"i{i}" for i in range(1, 20) if i != 4)], "weight": 1.0})
    atomic.write(items, root / "small" / "small.item", {"item_id": "token", "weight": "float"})
    script = Path(__file__).with_name("recbole_peer.py")
    run = subprocess.run([sys.executable, str(script), str(root / "small")], capture_output=True, text=True, cwd=root)
    assert run.returncode == 0, run.stderr[-2000:]
    return root


def imported(trained: Path, name: str, output: Path) -> Recommender:
    file = str(trained / f"{name}.pth")
    assert main(["import-recbole", file, "--dataset", str(trained / "small"), "--output", str(output)]) == 0
    return Recommender.from_pretrained(output)


@pytest.mark.parametrize("name", ["SASRec", "GRU4Rec", "STAMP"])
def test_the_same_items_get_the_same_scores(trained, tmp_path, name):
    recommender = imported(trained, name, tmp_path / "checkpoint")
    peer = json.loads((trained / f"{name}.json").read_text())
    assert list(recommender.items.tokens) == peer["tokens"][1:]
    assert "never" in peer["tokens"]
    assert not {"i4", "NA"} & set(peer["tokens"])
    for history, scores in zip(peer["histories"], peer["scores"], strict=True):
        found = recommender.recommend(history, k=len(scores), exclude_seen=False)
        expected = dict(zip(peer["tokens"], scores, strict=True))
        assert found.scores == pytest.approx([expected[item] for item in found.item_ids], abs=1e-5)
        assert len(found.item_ids) == len(scores) - 1
    assert isinstance(recommender.network, SASRec) == (name == "SASRec")


def test_bert4rec_gets_the_scores_of_recbole_which_drops_the_oldest_item(trained, tmp_path):
    recommender = imported(trained, "BERT4Rec", tmp_path / "checkpoint")
    assert isinstance(recommender.network, BERT4Rec)
    peer = json.loads((trained / "BERT4Rec.json").read_text())
    compared = 0
    for history, scores in zip(peer["histories"], peer["scores"], strict=True):
        if len(history) > 1:
            compared += 1
            found = recommender.recommend(history[1:], k=len(scores), exclude_seen=False)
            expected = dict(zip(peer["tokens"], scores, strict=True))
            assert found.scores == pytest.approx([expected[item] for item in found.item_ids], abs=1e-5)
    assert compared


def test_popularity_is_counted_from_the_interactions(trained, tmp_path):
    recommender = imported(trained, "SASRec", tmp_path / "checkpoint")
    counts = pl.read_csv(trained / "small" / "small.inter", separator="\t")["item_id:token"].value_counts()
    expected = dict(counts.iter_rows())
    found = recommender.recommend([], k=30)
    assert found.scores == [float(expected.get(item, 0)) for item in found.item_ids]


def test_a_model_that_embeds_users_is_refused(trained, tmp_path, capsys):
    said = refused(capsys, trained / "Caser.pth", trained / "small", tmp_path / "out")
    assert "a vector for each of its users" in said


def test_another_data_set_is_refused(trained, tmp_path, capsys):
    frame = atomic.read(trained / "small" / "small.inter")
    atomic.write(frame.filter(frame["item_id"] != "i3"), tmp_path / "other" / "other.inter", TYPES)
    said = refused(capsys, trained / "SASRec.pth", tmp_path / "other", tmp_path / "out")
    assert "not the data set that it was trained on" in said


def refused(capsys, file: Path, dataset: Path, output: Path) -> str:
    capsys.readouterr()
    assert main(["import-recbole", str(file), "--dataset", str(dataset), "--output", str(output)]) == 2
    assert not output.exists()
    return capsys.readouterr().err


class Evil:
    """What a pickle can be made to do when it is read by `pickle`."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def archive(content: object, file: Path) -> Path:
    torch.save(content, file)
    return file


@pytest.mark.parametrize("where", ["config", "state_dict", "optimizer"])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, where):
    import os

    ran = tmp_path / "ran"
    file = archive({"config": {}, "state_dict": {}, where: Evil(os.system, f"touch {ran}")}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match=r"refused, it names (posix|nt)\.system, which has no place in a checkpoint"):
        recbole.read(file)
    assert not ran.exists()
    torch.load(file, weights_only=False)  # the same file does run for whoever trusts it
    assert ran.exists()


@pytest.mark.parametrize("function", [eval, exec, __import__, open])
def test_builtins_that_do_something_are_refused(tmp_path, function):
    file = archive({"config": Evil(function, "1")}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match=f"it names (builtins|__builtin__|io|_io).{function.__name__}"):
        recbole.read(file)


def test_functions_of_tolerated_packages_are_not_called(tmp_path):
    target = tmp_path / "written.npy"
    import numpy as np

    file = archive({"config": Evil(np.save, str(target), 1), "state_dict": {}}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="it holds no Config of RecBole's"):
        recbole.read(file)
    assert not target.exists()


def test_a_tensor_that_reaches_out_of_its_storage_is_refused(trained, tmp_path):
    """The pickle says 4 numbers, the archive holds 3."""
    file = archive({"config": None, "state_dict": {"w": torch.zeros(4)}}, tmp_path / "short.pth")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(tmp_path / "cut.pth", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name)[:-4] if "/data/" in name else old.read(name))
    with pytest.raises(InputError, match=r"cut\.pth: refused"):
        recbole.read(tmp_path / "cut.pth")


@pytest.mark.parametrize("content", [b"", b"PK", pickle.dumps({"config": 1}), b"\x80\x04N."])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"file\.pth: refused"):
        recbole.read(tmp_path / "file.pth")


@pytest.mark.parametrize("content", [[1], {"state_dict": {}}, {"config": 1, "state_dict": {}}, torch.zeros(2)])
def test_a_file_without_recboles_settings_is_refused(tmp_path, content):
    with pytest.raises(InputError, match="no RecBole checkpoint"):
        recbole.read(archive(content, tmp_path / "file.pth"))


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        recbole.read(tmp_path / "file.pth")


@pytest.mark.parametrize(
    ("name", "value"), [("user_inter_num_interval", "[5,inf)"), ("rm_dup_inter", "first"), ("val_interval", {"r": "1"})]
)
def test_filtered_data_is_refused(trained, name, value):
    with pytest.raises(InputError, match=f"filtered data \\({name}"):
        recbole.vocabulary(trained / "small", {name: value})


def test_a_model_that_reads_features_is_refused():
    with pytest.raises(InputError, match=r"SASRecF reads features of items, .* recsys fit --config SASRecF"):
        recbole._network({"model": "SASRecF", "selected_features": ["kind"]}, 20)


def test_items_are_numbered_as_they_first_stand_in_the_file(tmp_path):
    rows = [("u2", "b", 9.0), ("u1", "a", 1.0), ("", "x", 1.0), ("u1", "null", 1.0), ("u2", "b", 3.0), ("u1", "c", 0.0)]
    atomic.write(pl.DataFrame(rows, schema=list(TYPES), orient="row"), tmp_path / "d" / "d.inter", TYPES)
    items = pl.DataFrame({"item_id": ["z", "a", "b"]})
    atomic.write(items, tmp_path / "d" / "d.item", {"item_id": "token"})
    plain, counts = recbole.vocabulary(tmp_path / "d", {"load_col": {"inter": ["user_id", "item_id"]}})
    assert plain.tokens == ["b", "a", "c"]
    assert counts.tolist() == [0, 2, 1, 1]
    described, counts = recbole.vocabulary(tmp_path / "d", {"load_col": None})
    assert described.tokens == ["b", "a", "z"]  # c is not in .item: filter_inter_by_user_or_item
    assert counts.tolist() == [0, 2, 1, 0]
    kept, _ = recbole.vocabulary(tmp_path / "d", {"filter_inter_by_user_or_item": False})
    assert kept.tokens == ["b", "a", "c", "z"]


def test_a_folder_that_is_no_checkpoint_is_not_replaced(trained, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    file = str(trained / "SASRec.pth")
    assert main(["import-recbole", file, "--dataset", str(trained / "small"), "--output", str(tmp_path / "mine")]) == 2
    assert "exists and is no checkpoint folder" in capsys.readouterr().err
    assert main(["import-recbole", file]) == 2
    assert "--dataset" in capsys.readouterr().err
