"""`recsys validate | test | predict`: what they measure, what they write, and what it may not depend on."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from recsys import atomic, checkpoints
from recsys.data.dataset import load
from recsys.data.items import item_file
from recsys.training.cli import run


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


BASELINES = ("ceiling", "popular", "recent", "random", "position")


def test_the_means_over_the_rows_are_the_metrics_each_within_its_interval(tested: Path) -> None:
    frame = pl.read_parquet(tested / "test_requests.parquet")
    result = json.loads((tested / "test.json").read_text())
    assert result["metrics"].keys() == result["intervals"].keys()
    assert {f"test/{name}" for name in frame.columns if "@" in name} == result["metrics"].keys()
    for name, value in result["metrics"].items():
        column = frame[name.removeprefix("test/")].fill_nan(None)
        assert column.mean() == pytest.approx(value, abs=1e-12)
        low, high = result["intervals"][name]
        assert low - 1e-12 * abs(low) <= value <= high + 1e-12 * abs(high), "of equal values, but for rounding"


def test_the_baselines_stand_beside_the_model_under_every_protocol_that_they_answer(tested: Path) -> None:
    names = {name.removeprefix("test/") for name in metrics(tested)}
    own = {name for name in names if name.split("/")[0] not in BASELINES}
    ranked = {name for name in own if not name.startswith("exposed/")}
    beyond = ("popularity", "tail", "novelty", "distance", "miscalibration")
    known = {f"{metric}@{k}" for metric in beyond for k in (5, 10, 20)}
    assert known <= own, "of full ranking alone"
    for baseline in ("popular", "recent", "random"):
        assert {f"{baseline}/{name}" for name in own} <= names
    assert {f"ceiling/{name}" for name in ranked} <= names
    assert {f"position/{name}" for name in own - ranked} <= names
    assert len(names) == 3 * 18 + 3 * 3 * 18 + 2 * 18 + 18 + 5 * len(known)


def test_listed_items_differ_by_their_categories(zoo, tested: Path) -> None:
    data = load(zoo.qilin)
    clicked = data.events.item[(data.events.split == 0) & (data.events.item > 0)]
    popular = np.argsort(-np.bincount(clicked, minlength=len(data.items))[1:], kind="stable")[:5]
    fields = ["taxonomy1", "taxonomy2", "taxonomy3"]
    known = {
        row[0]: {pair for pair in zip(fields, row[1:], strict=True) if pair[1]}
        for row in atomic.read(item_file(zoo.qilin), ["item_id", *fields]).iter_rows()
    }
    kinds = [known[data.items.tokens[item]] for item in popular]
    alike = [len(kinds[i] & kinds[j]) / np.sqrt(len(kinds[i]) * len(kinds[j])) for i in range(5) for j in range(i)]
    frame = pl.read_parquet(tested / "test_requests.parquet")
    assert frame["popular/distance@5"].to_numpy() == pytest.approx(1 - np.mean(alike), abs=1e-12)
    without = frame.filter(pl.col("history") == 0)["miscalibration@10"]
    assert without.is_nan().all()
    assert (frame["miscalibration@10"].drop_nans() >= 0).all()


def test_what_lists_show_beyond_accuracy(tested: Path) -> None:
    found = json.loads((tested / "test.json").read_text())
    shown, means = found["catalogue"], found["metrics"]
    assert len(shown) == 5 * 4 * 3, "four metrics at three cutoffs, of all who rank the vocabulary"
    items = found["protocols"]["full"]["items"]
    assert shown["test/popular/coverage@10"] == pytest.approx(10 / items), "one list for all"
    assert shown["test/popular/personalisation@10"] == pytest.approx(0, abs=1e-12)
    assert shown["test/popular/entropy@10"] == pytest.approx(np.log(10))
    assert shown["test/popular/gini@10"] == pytest.approx(1 - 10 / items)
    assert shown["test/popular/coverage@10"] <= shown["test/coverage@10"] <= 1
    assert shown["test/random/gini@10"] < shown["test/popular/gini@10"]
    for ranker in ("", "recent/", "random/"):
        assert means[f"test/{ranker}popularity@10"] < means["test/popular/popularity@10"]
        assert means[f"test/{ranker}novelty@10"] > means["test/popular/novelty@10"]


def test_no_list_is_better_than_the_ceiling_and_chance_is_worse_than_popularity(tested: Path) -> None:
    frame = pl.read_parquet(tested / "test_requests.parquet")
    for name in ("ndcg@10", "recall@20", "map@5", "in_vocabulary/ndcg@10"):
        for ranker in ("", "popular/", "recent/", "random/"):
            assert (frame[f"ceiling/{name}"].fill_nan(0) >= frame[ranker + name].fill_nan(0) - 1e-12).all()
    found = metrics(tested)
    assert 0 < found["test/random/exposed/ndcg@10"] < 1
    assert found["test/random/recall@20"] < found["test/popular/recall@20"]
    assert found["test/ceiling/in_vocabulary/recall@20"] > found["test/recall@20"]


def test_results_name_their_data_and_protocol(tested: Path) -> None:
    result = json.loads((tested / "test.json").read_text())
    assert (result["model"], result["data"]) == ("SASRec", "tiny")
    assert result["protocol"] == {"exclude_seen": False, "vocabulary": ["train"], "average": "request"}
    assert result["protocols"].keys() == {"full", "in_vocabulary", "exposed"}
    full = result["protocols"]["full"]
    assert full["items"] == len(checkpoints.load(tested / "checkpoint").items) - 1
    assert (full["split"], full["exclude_seen"], full["mean_over"]) == ("test", False, "requests")
    config = yaml.safe_load((tested / "config.test.yaml").read_text())
    assert config["model"]["network"]["init_args"]["dim"] == 8
    assert (tested / "config.yaml").is_file(), "the configuration of the fit stays"


def test_slices_have_their_number_and_are_the_rows_that_they_say(tested: Path) -> None:
    frame = pl.read_parquet(tested / "test_requests.parquet")
    found = json.loads((tested / "test.json").read_text())["slices"]
    rules = {
        "history 1-9": pl.col("history").is_between(1, 9),
        "history 10+": pl.col("history") >= 10,
        "known targets": pl.col("cold") == 0,
        "30 min after search": pl.col("after_search") <= 1800,
    }
    assert rules.keys() <= found.keys() | {"history 1-9"}
    for name, rule in rules.items():
        rows = frame.filter(rule)
        if name in found:
            assert (found[name]["requests"], found[name]["users"]) == (rows.height, rows["user_id"].n_unique())
            assert found[name]["metrics"]["test/ndcg@10"] == pytest.approx(rows["ndcg@10"].mean(), abs=1e-12)


def test_declared_slices_take_the_place_of_the_usual(zoo, tested: Path) -> None:
    declared = '{"late": {"history": [5, null], "cold": false}, "topic": {"by": "taxonomy1"}}'
    weights = ["--ckpt_path", str(tested / "checkpoint")]
    assert zoo("test", "sliced", *weights, "--model.slices", declared) == 0
    (run,) = zoo.folders("sliced")
    found = json.loads((run / "test.json").read_text())["slices"]
    frame = pl.read_parquet(run / "test_requests.parquet")
    assert found["late"]["requests"] == frame.filter((pl.col("history") >= 5) & (pl.col("cold") == 0)).height
    topics = [name for name in found if name != "late"]
    assert 1 < len(topics) <= 10
    assert all(name.startswith("topic: ") for name in topics)
    numbers = [found[name]["requests"] for name in topics]
    assert numbers == sorted(numbers, reverse=True)


def test_means_over_users(zoo, tested: Path) -> None:
    weights = ["--ckpt_path", str(tested / "checkpoint")]
    scores = run([*zoo.args("test", "users", *weights, "--model.average", "user")]).model.scores
    frame = pl.read_parquet(tested / "test_requests.parquet")
    for name in ("ndcg@10", "exposed/map@5", "in_vocabulary/recall@20"):
        by_user = frame.with_columns(pl.col(name).fill_nan(None)).group_by("user_id").agg(pl.col(name).mean())
        assert scores[f"test/{name}"] == pytest.approx(by_user[name].mean(), abs=1e-12)
        assert metrics(zoo.folders("users")[0])[f"test/{name}"] == pytest.approx(by_user[name].mean(), abs=1e-12)


def test_given_candidates_are_reranked(zoo, tested: Path, tmp_path: Path) -> None:
    dataset = load(zoo.qilin)
    asked = [i for i, split in enumerate(dataset.requests.split) if split == 2]
    exposed = [dataset.items.decode(dataset.requests.candidate[i][dataset.requests.candidate[i] > 0]) for i in asked]
    rows = {"request_id": [dataset.requests.id[i] for i in asked[1:]], "item_ids": exposed[1:]}
    rows["item_ids"][0] = []
    rows["item_ids"][1] = rows["item_ids"][1] * 2
    pl.DataFrame(rows).write_parquet(tmp_path / "lists.parquet")
    weights = ["--ckpt_path", str(tested / "checkpoint"), "--model.candidates", str(tmp_path / "lists.parquet")]
    assert zoo("test", "given", *weights) == 0
    (run,) = zoo.folders("given")
    result = json.loads((run / "test.json").read_text())
    assert len(result["protocols"]["given"]["sha256"]) == 64
    frame = pl.read_parquet(run / "test_requests.parquet")
    has_list = frame["request_id"].is_in(rows["request_id"][1:])
    assert frame["given/ndcg@10"].is_nan().to_list() == (~has_list).to_list(), "no list, no value"
    # All targets of this data are known, so that the known exposed items make the very task of the exposed protocol,
    # but for the order of ties.
    both = frame.filter(has_list & (frame["cold"] == 0)).select("given/ndcg@10", "exposed/ndcg@10")
    assert (both["given/ndcg@10"] - both["exposed/ndcg@10"]).abs().median() < 1e-12
    assert {"test/popular/given/ndcg@10", "test/random/given/ndcg@10"} <= result["metrics"].keys()


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ({"request_id": ["nobody"], "item_ids": [["1"]]}, "request_id 'nobody' is not in tiny"),
        ({"request_id": ["r", "r"], "item_ids": [["1"], ["2"]]}, "request_id 'r' occurs twice"),
        ({"request_id": ["r"], "item_ids": ["1"]}, "must be text and item_ids lists of text"),
        ({"request_id": ["r"]}, "no Parquet table with request_id and item_ids"),
    ],
)
def test_candidates_that_cannot_be(zoo, tested: Path, tmp_path: Path, refused, rows: dict, complaint: str) -> None:
    pl.DataFrame(rows).write_parquet(tmp_path / "lists.parquet")
    weights = ["--ckpt_path", str(tested / "checkpoint"), "--model.candidates", str(tmp_path / "lists.parquet")]
    assert complaint in refused(*zoo.args("test", "wrong", *weights))


@pytest.mark.parametrize(
    ("slices", "complaint"),
    [
        ('{"s": {}}', "give at least one of history, cold, after_search and by"),
        ('{"s": {"history": [5, 2]}}', "history [5, 2] must ascend"),
        ('{"s": {"after_search": 0}}', "must be more than 0 seconds"),
        ('{"s": {"by": "taxonomi1"}}', "no field 'taxonomi1'. Did you mean 'taxonomy1'?"),
        ('{"s": {"by": "title"}}', "fields of type token, and 'title' is token_seq"),
    ],
)
def test_slices_that_cannot_be(zoo, tested: Path, refused, slices: str, complaint: str) -> None:
    weights = ["--ckpt_path", str(tested / "checkpoint")]
    assert complaint in refused(*zoo.args("test", "wrong", *weights, "--model.slices", slices))


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
