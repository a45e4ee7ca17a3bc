"""The checkpoints that come with the library are what the list says, and recommend without a network."""

import json
from pathlib import Path

import pytest

from recsys import Recommender, checkpoints
from recsys.__main__ import main
from recsys.checkpoints import registry
from recsys.files import shipped

ROOT = Path(__file__).parents[2]
NAMES = sorted(registry.read())


def test_all_three_models_of_qilin_are_there() -> None:
    assert [f"{model}-qilin-synthetic" for model in ("bert4rec", "sasrec", "searchsasrec")] == NAMES
    assert shipped("checkpoints") == ROOT / "checkpoints"


@pytest.mark.parametrize("name", NAMES)
def test_the_list_says_what_it_is(name: str) -> None:
    entry = registry.read()[name]
    folder = checkpoints.fetch(name)
    assert registry.describe(folder, name) == vars(entry)
    assert {"test/ndcg@10", "test/recall@10"} <= entry.metrics.keys() & entry.intervals.keys()
    assert checkpoints.load(folder).data["synthetic"] is True
    assert "Synthetic data" in (folder / "README.md").read_text("utf-8")


def test_they_are_small() -> None:
    files = [file for file in (ROOT / "checkpoints").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 2_000_000


def test_the_documentation_has_their_figures() -> None:
    page = (ROOT / "docs" / "checkpoints.md").read_text("utf-8")
    for name, entry in registry.read().items():
        low, high = entry.intervals["test/ndcg@10"]
        assert f"| `{name}` | {entry.metrics['test/ndcg@10']:.4f} [{low:.4f}, {high:.4f}] |" in page


def test_searches_help_where_clicks_follow_them() -> None:
    entries = registry.read()
    with_searches, without = (entries[f"{model}-qilin-synthetic"] for model in ("searchsasrec", "sasrec"))
    assert with_searches.intervals["test/ndcg@10"][0] > without.intervals["test/ndcg@10"][1]


def test_one_recommends_by_its_name(capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    model = Recommender.from_pretrained("searchsasrec-qilin-synthetic")
    history = list(model.items.tokens[:3])
    expected = model.recommend(history, ["咖啡"], k=4)
    assert len(expected.item_ids) == 4
    asked = ["recommend", "--checkpoint", "searchsasrec-qilin-synthetic", "--history", ",".join(history), "--k", "4"]
    assert main([*asked, "--query", "咖啡", "--json"]) == 0
    assert [row["item_id"] for row in json.loads(capsys.readouterr().out)] == expected.item_ids


def test_models_lists_them_with_metrics_and_size(capsys, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in NAMES)
    assert "test/ndcg@10 0." in shown
    assert " MB" in shown
    assert main(["models", "--runs", "nowhere"]) == 2
    assert "--runs nowhere: no such folder" in capsys.readouterr().err


def test_models_lists_what_is_damaged_as_that(capsys, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    folder = checkpoints.fetch(NAMES[0])
    config = json.loads((folder / "config.json").read_text("utf-8"))
    terminal = json.dumps(config | {"model": "\x1b[2J[red]Evil"})
    for name, damage in (("whole", ""), ("json", "{"), ("other", "[]"), ("terminal", terminal)):
        (tmp_path / name).mkdir()
        for file in folder.iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
        if damage:
            (tmp_path / name / "config.json").write_text(damage)
    assert main(["models", "--runs", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("damaged, or of another version") == 2
    assert "BERT4Rec" in shown
    assert "[2J[red]Evil" in shown
    assert "\x1b[2J" not in shown
