"""`recsys recommend`, `models`, `convert` and `synthesize`, as typed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys import checkpoints
from recsys.__main__ import main
from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint
from recsys.data.dataset import load
from recsys.models import HSTU, SASRec, SearchSASRec

TOKENS = [f"n{i}" for i in range(1, 13)]
SIZE = {"n_items": 13, "max_len": 4, "dim": 8, "layers": 1, "heads": 2}
SHAPE = {**SIZE, "inner_dim": 8}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs, of a model that reads queries and of one that does not."""
    root = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    popularity = np.arange(13)
    for name, network in (("plain", SASRec(**SHAPE)), ("search", SearchSASRec(**SHAPE, buckets=97))):
        made = Checkpoint(network, Vocabulary(TOKENS), popularity, {"name": "toy"}, {"val/ndcg@10": 0.25})
        checkpoints.save(made, root / name / "20260101-000000" / "checkpoint")
    return root


@pytest.fixture
def plain(runs: Path) -> str:
    return str(runs / "plain" / "20260101-000000" / "checkpoint")


def ranked(out: str) -> list[str]:
    """The item ids of the printed table."""
    return [part for line in out.splitlines() for part in line.split() if part in TOKENS]


def test_recommend_prints_k_items_that_were_not_seen(plain: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", "--checkpoint", plain, "--history", "n1, n2,n3", "--k", "5"]) == 0
    shown = capsys.readouterr()
    assert len(set(ranked(shown.out))) == 5
    assert not {"n1", "n2", "n3"} & set(ranked(shown.out))
    assert shown.err == ""


def test_recommend_may_repeat_what_was_seen(plain: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", "--checkpoint", plain, "--history", "n1", "--k", "99", "--exclude_seen", "false"]) == 0
    assert set(ranked(capsys.readouterr().out)) == set(TOKENS)


def test_recommend_explains_in_a_table_and_in_json(runs: Path, plain: str, capsys: pytest.CaptureFixture[str]) -> None:
    search = str(runs / "search" / "20260101-000000" / "checkpoint")
    asked = [
        "recommend",
        "--checkpoint",
        search,
        "--history",
        "n1,n2",
        "--k",
        "3",
        "--explain",
        "--query",
        "red",
        "hat",
    ]
    assert main([*asked, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["rank"] for row in shown] == [1, 2, 3]
    for row in shown:
        assert row["history"] + row["searches"] == pytest.approx(row["score"], abs=1e-5)
        assert [query for query, _ in row["queries"]] == ["red", "hat"]
    assert main(asked) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in ("history", "searches", "'red'", "'hat'", "id"))
    assert ranked(table) == [row["item_id"] for row in shown]
    assert main(["recommend", "--checkpoint", plain, "--history", "n1", "--explain"]) == 0
    assert capsys.readouterr().err == "SASRec reads no searches: scores owe nothing to them.\n"


def test_recommend_drops_unknown_ids_and_names_them(plain: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", "--checkpoint", plain, "--history", "n1,x9,n2,x8"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "Dropped, unknown to the model: x9, x8\n"
    assert main(["recommend", "--checkpoint", plain, "--history", "n1,n2"]) == 0
    assert capsys.readouterr().out == shown.out


def test_recommend_says_that_popularity_answers(plain: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", "--checkpoint", plain, "--k", "3"]) == 0
    shown = capsys.readouterr()
    assert ranked(shown.out) == ["n12", "n11", "n10"]
    assert "the most popular items" in shown.err


def test_recommend_says_that_a_query_is_ignored(plain: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", "--checkpoint", plain, "--history", "n1", "--query", "red", "shoes"]) == 0
    assert "SASRec does not read queries: --query has no effect." in capsys.readouterr().err


def test_recommend_takes_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    network = HSTU(**SIZE)
    torch.nn.init.normal_(network.units[0].bias.time.weight)
    checkpoints.save(Checkpoint(network, Vocabulary(TOKENS), np.arange(13), {"name": "toy"}, {}), tmp_path / "hstu")
    asked = ["recommend", "--checkpoint", str(tmp_path / "hstu"), "--history", "n1,n2", "--k", "5"]
    assert main([*asked, "--timestamps", "100, 200.5", "--now", "90000"]) == 0
    timed = capsys.readouterr().out
    assert main(asked) == 0
    assert capsys.readouterr().out != timed
    assert main([*asked, "--timestamps", "100"]) == 2
    assert "1 timestamps for 2 items" in capsys.readouterr().err
    assert main([*asked, "--timestamps", "100,yesterday"]) == 2
    assert "--timestamps 100,yesterday: numbers of seconds" in capsys.readouterr().err


def test_recommend_answers_a_query_alone(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(runs / "search" / "20260101-000000" / "checkpoint")
    assert main(["recommend", "--checkpoint", folder, "--query", "red shoes", "--k", "2"]) == 0
    shown = capsys.readouterr()
    assert len(ranked(shown.out)) == 2
    assert shown.err == ""


def test_recommend_shows_titles(plain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "toy.item"
    file.write_text("item_id:token\tmovie_title:token_seq\nn12\tToy Story\nn1\tBabe\n", "utf-8")
    assert main(["recommend", "--checkpoint", plain, "--k", "1", "--items", str(file)]) == 0
    assert "Toy Story" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--history", "x1,x2"], "2 of 2 items of the history are unknown"),
        (["--history", "n1", "--k", "0"], "--k 0: ask for at least 1 item."),
        (["--history", "n1", "--items", "nowhere.item"], "nowhere.item: no such atomic file."),
    ],
)
def test_recommend_refuses_what_it_cannot_answer(
    plain: str, capsys: pytest.CaptureFixture[str], args: list[str], sentence: str
) -> None:
    assert main(["recommend", "--checkpoint", plain, *args]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("recsys: error: ")
    assert shown.err.count("\n") == 1
    assert sentence in shown.err
    assert shown.out == ""


def test_recommend_refuses_a_checkpoint_with_a_flipped_byte(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "x"
    checkpoints.save(checkpoints.load(runs / "plain" / "20260101-000000" / "checkpoint"), folder)
    content = bytearray((folder / "items.tsv").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "items.tsv").write_bytes(content)
    assert main(["recommend", "--checkpoint", str(folder), "--history", "n1"]) == 2
    assert "items.tsv: damaged" in capsys.readouterr().err


def test_models_lists_every_checkpoint(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["models", "--runs", str(runs)]) == 0
    shown = capsys.readouterr().out
    for expected in ("SASRec", "SearchSASRec", "toy", "12", "val/ndcg@10 0.2500"):
        assert expected in shown


def test_models_says_that_there_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--runs", str(tmp_path)]) == 0
    assert f"No checkpoints under {tmp_path}" in capsys.readouterr().out.replace("\n", "")


def test_movielens_has_a_hundred_thousand_ratings(tmp_path: Path) -> None:
    assert main(["convert", "ml-100k", "--output", str(tmp_path / "films")]) == 0
    dataset = load(tmp_path / "films")
    assert len(dataset.events.user) == 100_000
    assert len(dataset.users) == 943
    assert main(["convert", "ml-100k", "--output", str(tmp_path / "films")]) == 0, "again, over its own output"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["ml-100k", "--source", "x"], "leave --source away"),
        (["qilin"], "name the folder that holds Qilin's parquet files"),
        (["qilin", "--source", "x", "--valid_fraction", "1"], "between 0 and 1"),
        (["qilin", "--source", "absent"], "absent: no such folder"),
        (["ml-1m"], "must be one of"),
    ],
)
def test_convert_refuses_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *args]) == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_convert_does_not_replace_what_it_did_not_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert main(["convert", "ml-100k", "--output", str(tmp_path / "mine")]) == 2
    assert "name another --output" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("args", [["--users", "99"], ["--users", "-1"], ["--influence", "2"], ["--influence", "-0.1"]])
def test_synthesize_refuses_bad_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str]) -> None:
    assert main(["synthesize", "--output", str(tmp_path / "raw"), *args]) == 2
    assert capsys.readouterr().err.startswith(f"recsys: error: {args[0]} ")
    assert not (tmp_path / "raw").exists()
