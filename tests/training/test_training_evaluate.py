"""`recsys validate | test | predict`: what they measure, what they write, and what it may not depend on."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from recsys import checkpoints
from recsys.data.dataset import load


@pytest.fixture(scope="module")
def tested(zoo, sasrec: Path) -> Path:
    assert zoo("test", "sasrec") == 0
    return sasrec


@pytest.fixture(scope="module")
def plain(zoo) -> Path:
    """A run on a data set that brings no requests, tested."""
    assert zoo("fit", "plain", data=zoo.generic) == 0
    assert zoo("test", "plain", data=zoo.generic) == 0
    return zoo.folders("plain")[-1]


def metrics(run: Path) -> dict[str, float]:
    return json.loads((run / "test.json").read_text())["metrics"]


def test_every_test_request_has_its_row(zoo, tested: Path) -> None:
    requests = load(zoo.qilin).requests
    expected = sorted(name for name, split in zip(requests.id, requests.split, strict=True) if split == 2)
    frame = pl.read_parquet(tested / "test_requests.parquet")
    assert sorted(frame["request_id"]) == expected
    assert frame["timestamp"].is_not_null().all()


def test_the_means_over_the_rows_are_the_metrics(tested: Path) -> None:
    frame = pl.read_parquet(tested / "test_requests.parquet")
    own = {name: value for name, value in metrics(tested).items() if not name.startswith("test/popular/")}
    assert len(own) == 36
    for name, value in own.items():
        assert frame[name.removeprefix("test/")].mean() == pytest.approx(value, abs=1e-12)


def test_popularity_stands_beside_the_model(tested: Path) -> None:
    found = metrics(tested)
    own = {name.removeprefix("test/") for name in found if not name.startswith("test/popular/")}
    assert {name.removeprefix("test/popular/") for name in found if name.startswith("test/popular/")} == own
    assert found["test/popular/recall@20"] > 0
    assert found["test/popular/recall@20"] != found["test/recall@20"]


def test_results_name_their_data_and_protocol(tested: Path) -> None:
    result = json.loads((tested / "test.json").read_text())
    assert (result["model"], result["data"]) == ("SASRec", "tiny")
    assert result["protocol"] == {"exclude_seen": False, "vocabulary": ["train"]}
    config = yaml.safe_load((tested / "config.test.yaml").read_text())
    assert config["model"]["network"]["init_args"]["dim"] == 8
    assert (tested / "config.yaml").is_file(), "the configuration of the fit stays"


def test_exposed_items_are_reranked_where_the_data_has_them(tested: Path, plain: Path) -> None:
    assert any("exposed/" in name for name in metrics(tested))
    assert metrics(plain)
    assert not any("exposed/" in name for name in metrics(plain))
    assert not any("exposed/" in name for name in pl.read_parquet(plain / "test_requests.parquet").columns)


@pytest.mark.parametrize("size", ["1", "7", "512"])
def test_results_do_not_depend_on_the_batch_size(zoo, tested: Path, size: str) -> None:
    name = f"batches{size}"
    checkpoint = str(tested / "checkpoint")
    assert zoo("test", name, "--ckpt_path", checkpoint, "--data.eval_batch_size", size) == 0
    (run,) = zoo.folders(name)
    assert metrics(run) == pytest.approx(metrics(tested), abs=1e-9)
    assert not (run / "checkpoint").exists()


@pytest.mark.parametrize("file", ["best.ckpt", "last.ckpt"])
def test_a_state_of_lightning_can_be_tested(zoo, tested: Path, file: str) -> None:
    name = f"state-{file}"
    assert zoo("test", name, "--ckpt_path", str(tested / "checkpoints" / file)) == 0
    if file == "best.ckpt":
        assert metrics(zoo.folders(name)[0]) == pytest.approx(metrics(tested), abs=1e-12)


def test_validating_the_best_weights_gives_what_their_checkpoint_says(
    zoo, sasrec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zoo("validate", "sasrec") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "val/ndcg@10" in line)
    shown = float(row.replace("│", " ").split()[-1])
    assert shown == pytest.approx(checkpoints.load(sasrec / "checkpoint").metrics["val/ndcg@10"], rel=1e-6)


def test_predictions_are_known_items_one_row_per_request(zoo, sasrec: Path) -> None:
    assert zoo("predict", "sasrec", "--model.k", "7") == 0
    frame = pl.read_parquet(sasrec / "predictions.parquet")
    requests, known = load(zoo.qilin).requests, set(checkpoints.load(sasrec / "checkpoint").items.tokens)
    expected = sorted(name for name, split in zip(requests.id, requests.split, strict=True) if split == 2)
    assert sorted(frame["request_id"]) == expected
    assert (frame["item_ids"].list.n_unique() == 7).all()
    assert set(frame["item_ids"].explode()) <= known
    assert all(scores == sorted(scores, reverse=True) for scores in frame["scores"].to_list())


def test_predictions_leave_out_what_was_seen(zoo, plain: Path) -> None:
    args = ["--model.exclude_seen", "true", "--model.k", "30"]
    assert zoo("predict", "plain", *args, data=zoo.generic) == 0
    frame = pl.read_parquet(plain / "predictions.parquet")
    clicks = pl.read_csv(zoo.generic / "plain.inter", separator="\t")
    for user, items in frame.select("user_id", "item_ids").iter_rows():
        clicked = clicks.filter(pl.col("user_id:token") == user)["item_id:token"].to_list()
        assert not set(clicked[:-1]) & set(items)
        assert len(items) == 30 - len(set(clicked[:-1]))


def test_rows_of_a_test_by_more_processes_do_not_stay_beside_the_new(zoo, plain: Path) -> None:
    (plain / "test_requests.1.parquet").write_bytes((plain / "test_requests.parquet").read_bytes())
    assert zoo("test", "plain", data=zoo.generic) == 0
    assert [part.name for part in plain.glob("test_requests*.parquet")] == ["test_requests.parquet"]
