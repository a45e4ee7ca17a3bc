"""Files of users: Parquet and JSONL in, Parquet out, whole or not at all, and on from where a killed run was."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from recsys.__main__ import main
from recsys.errors import InputError
from recsys.models import SearchSASRec
from recsys.recommender import files, recommend_file

HISTORIES = [["n1", "n2"], [], ["n3", "x"], ["猫"], ["5", "n6"], ["n7"], ["n2"], ["n1", "n1", "n3", "n6", "猫"]]
QUERIES = [["red"], [], None, ["blue hat", "red"], [], [], [], []]


@pytest.fixture
def users(tmp_path) -> pl.DataFrame:
    frame = pl.DataFrame({"user_id": range(100, 108), "history": HISTORIES, "queries": QUERIES})
    frame.with_columns(city=pl.lit("x")).write_parquet(tmp_path / "users.parquet")
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in frame.iter_rows(named=True)]
    (tmp_path / "users.jsonl").write_text("".join(lines), "utf-8")
    return frame


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 3)


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_file_is_answered_as_a_frame(recommender, users, tmp_path, kind):
    one, said = recommender(SearchSASRec), []
    counted = recommend_file(one, tmp_path / f"users.{kind}", tmp_path / "out.parquet", k=4, progress=said.append)
    assert counted == {"users": 8, "popularity": 1, "unknown": 1}
    found, expected = pl.read_parquet(tmp_path / "out.parquet"), one.recommend_frame(users, k=4)
    assert found.drop("score").equals(expected.drop("score"))
    assert found["score"].to_list() == pytest.approx(expected["score"].to_list(), abs=1e-5)
    assert [line.split(",")[0] for line in said] == ["3 users", "6 users", "8 users"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "users.jsonl", "users.parquet"]


KILLED = """
import os, signal, sys
from pathlib import Path
from recsys.recommender import Recommender, files, recommend_file
files.BLOCK = 3
def progress(message):
    print(message, flush=True)
    if message.startswith("6 users"):
        os.kill(os.getpid(), signal.SIGKILL)
model, folder = Recommender.from_pretrained(sys.argv[1]), Path(sys.argv[2])
recommend_file(model, folder / "users.parquet", folder / "out.parquet", progress=progress)
"""


def test_a_killed_run_goes_on_where_it_was(recommender, checkpoint_of, users, tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(checkpoint_of()), str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    parts = tmp_path / ".out.parquet.parts"
    written = {path.name: path.stat().st_mtime_ns for path in parts.glob("*.parquet")}
    assert set(written) == {"000000.parquet", "000001.parquet"}
    assert not (tmp_path / "out.parquet").exists()
    said: list[str] = []

    def progress(message: str) -> None:
        said.append(message)
        if parts.exists():
            assert {path.name: path.stat().st_mtime_ns for path in parts.glob("00000[01].parquet")} == written

    recommend_file(recommender(), tmp_path / "users.parquet", tmp_path / "out.parquet", progress=progress)
    assert said[0] == "going on behind 6 users who have been answered"
    assert [line.split(",")[0] for line in said[1:]] == ["8 users"]
    recommend_file(recommender(), tmp_path / "users.parquet", tmp_path / "never killed.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "never killed.parquet").read_bytes()


@pytest.mark.parametrize("change", ["k", "model", "input"])
def test_what_was_left_of_another_question_is_not_taken_over(recommender, users, tmp_path, change):
    source, target = tmp_path / "users.parquet", tmp_path / "out.parquet"

    def stop(message: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recommend_file(recommender(), source, target, k=2, progress=stop)
    assert (tmp_path / ".out.parquet.parts").is_dir()
    if change == "input":
        users[::-1].write_parquet(source)
    model, said = recommender(SearchSASRec) if change == "model" else recommender(), []
    recommend_file(model, source, target, k=3 if change == "k" else 2, progress=said.append)
    assert said[0].startswith("3 users")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "line 9: not JSON"),
        ('["n1"]', "line 9: should be an object"),
        ('{"user_id": 5}', "line 9: should be an object"),
        ('{"user_id": 5, "history": "n1"}', "line 9: history should be a list of strings or integers"),
        ('{"user_id": 5, "history": [null]}', "line 9: history should be a list"),
        ('{"user_id": 5, "history": ["n1"], "queries": [1]}', "line 9: queries should be a list of strings"),
        ('{"user_id": 5, "history": ["n1"], "now": "x"}', "line 9: now should be a number"),
        ('{"user_id": "b", "history": ["n1"]}', "line 9: user_id 'b': give a string on every line, or an integer"),
        ('{"user_id": 5, "history": ["n1"], "timestamps": [1, 2]}', "line 9: 2 timestamps for 1 items"),
    ],
)
def test_a_line_that_is_no_user_is_named_and_nothing_is_written(recommender, users, tmp_path, line, sentence):
    with (tmp_path / "users.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=f"users.jsonl, {sentence}"):
        recommend_file(recommender(), tmp_path / "users.jsonl", tmp_path / "out.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["users.jsonl", "users.parquet"]


def test_what_is_no_file_of_users(recommender, tmp_path):
    for source, target, sentence in (
        ("users.csv", "out.parquet", "users come as .parquet or .jsonl"),
        ("users.jsonl", "out.csv", "recommendations are written as .parquet"),
        ("users.jsonl", "out.parquet", "no such file"),
        ("empty.jsonl", "out.parquet", "no users in it"),
        ("broken.parquet", "out.parquet", "not a Parquet file"),
        ("strange.parquet", "out.parquet", "no column 'history'"),
    ):
        (tmp_path / "empty.jsonl").touch()
        (tmp_path / "broken.parquet").write_bytes(b"PAR1 no more")
        pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "strange.parquet")
        with pytest.raises(InputError, match=sentence):
            recommend_file(recommender(), tmp_path / source, tmp_path / target)
        assert not (tmp_path / target).exists()
        assert not (tmp_path / f".{target}.parts").exists()


def test_as_typed(checkpoint_of, users, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out.parquet"
    asked = ["recommend", "--checkpoint", str(checkpoint_of()), "--output", str(out)]
    assert main([*asked, "--input", str(tmp_path / "users.jsonl"), "--k", "2"]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"Wrote recommendations for 8 users to {out}\n"
    assert "Dropped 1 ids" in shown.err
    assert "1 users had nothing to go by" in shown.err
    assert len(pl.read_parquet(out)) == 16
    assert main(asked) == 2
    assert "--input and --output belong together" in capsys.readouterr().err
    assert main([*asked, "--input", str(tmp_path / "users.jsonl"), "--history", "n1"]) == 2
