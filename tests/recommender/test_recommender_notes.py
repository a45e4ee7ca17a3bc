"""A checkpoint that was trained on Qilin's items, asked with Qilin's own note_idx."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recommender_models import SIZE, network_of

from recsys import checkpoints
from recsys.__main__ import main
from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint
from recsys.errors import InputError
from recsys.models import SASRec
from recsys.qilin.items import notes_of, numbers
from recsys.recommender import Recommender
from recsys.recommender.notes import by_note

NOTES, SEED = 1_000, 3
RAW = [0, 999, 17, 500, 3, 250, 42]


@pytest.fixture
def converted() -> Checkpoint:
    """A model of seven notes, under the numbers that a conversion has given them."""
    items = [str(numbers(NOTES, SEED)[note]) for note in RAW]
    data = {"name": "qilin", "note_numbers": {"notes": NOTES, "seed": SEED}}
    return Checkpoint(network_of(SASRec), Vocabulary(items), np.arange(SIZE["n_items"]), data, {})


def test_it_answers_in_notes_what_it_answers_in_items(converted: Checkpoint) -> None:
    item = dict(zip(map(str, RAW), converted.items.tokens, strict=True))
    raw = Recommender(by_note(converted)).recommend([17, 500], k=3)
    own = Recommender(converted).recommend([item["17"], item["500"]], k=3)
    assert [item[note] for note in raw.item_ids] == own.item_ids
    assert raw.scores == own.scores


def test_all_notes_come_back(converted: Checkpoint) -> None:
    assert notes_of([str(item) for item in numbers(NOTES, SEED)], NOTES, SEED) == [str(i) for i in range(NOTES)]


def test_as_typed(converted: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints.save(converted, tmp_path / "own")
    assert "not Qilin's `note_idx`:\n  `recsys export" in (tmp_path / "own" / "README.md").read_text("utf-8")
    asked = ["export", str(tmp_path / "own"), "--ids", "note_idx", "--output", str(tmp_path / "raw")]
    assert main(asked) == 0, capsys.readouterr().err
    assert checkpoints.load(tmp_path / "raw").items.tokens == list(map(str, RAW))
    assert "7 items, whose ids are Qilin's `note_idx`" in (tmp_path / "raw" / "README.md").read_text("utf-8")
    again = ["export", str(tmp_path / "raw"), "--ids", "note_idx", "--output", str(tmp_path / "again")]
    assert main(again) == 2
    assert "have these ids already" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    "told", [None, 3, {}, {"notes": 1 << 40, "seed": 0}, {"notes": "many", "seed": 0}, {"notes": 9, "seed": None}]
)
def test_a_numbering_that_nobody_knows(converted: Checkpoint, told: object) -> None:
    strange = replace(converted, data={"name": "qilin", "note_numbers": told})
    with pytest.raises(InputError, match="does not say how Qilin's notes were numbered"):
        by_note(strange)


def test_an_item_that_no_note_has_become(converted: Checkpoint) -> None:
    for told in (10, NOTES):
        items = Vocabulary(["n1", *converted.items.tokens[1:]]) if told == NOTES else converted.items
        strange = replace(converted, items=items, data={"note_numbers": {"notes": told, "seed": SEED}})
        with pytest.raises(InputError, match=r"none of the [0-9,]+ notes of Qilin has that number"):
            by_note(strange)
