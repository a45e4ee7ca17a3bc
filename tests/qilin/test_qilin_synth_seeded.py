"""What a seed fixes, on every machine; and note numbers that carry the label, on request."""

import hashlib
import json
import math

import numpy as np
import polars as pl
import pytest

from recsys.qilin import synthesize
from recsys.qilin.schema import REC_DETAILS, SCHEMAS
from recsys.qilin.synthetic.synthesize import ORACLE

DIGESTS = {
    "published": "a994765f92368dce",
    "learnable": "626c4c1385ea5890",
}
WORLDS = {"published": {"scale": 0.001}, "learnable": {"users": 20}}


def rounded(value):
    """Values as JSON takes them; doubles to six digits, so that a last bit may differ between processors."""
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else value


def digest(folder) -> str:
    """Of all values, whatever the files' encoding."""
    found = hashlib.sha256()
    for config in sorted(SCHEMAS):
        frame = pl.read_parquet(folder / config / "*.parquet")
        found.update(json.dumps([config, *rounded(frame.to_dicts())], sort_keys=True).encode())
    found.update((folder / ORACLE).read_bytes())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("world", WORLDS)
def test_a_seed_draws_the_same_values_on_every_machine(tmp_path, world):
    """Changed on purpose: write the new digest here. Changed otherwise: a release of NumPy draws differently."""
    synthesize(tmp_path / "raw", **WORLDS[world])
    assert digest(tmp_path / "raw") == DIGESTS[world]


def predicted(folder) -> float:
    """How well the numbers of notes foretell clicks: the area under the curve of test exposures.

    A number's score is the share of clicks among the training exposures of the fiftieth of all numbers that it is in.
    """
    notes = pl.scan_parquet(folder / "notes" / "*.parquet").select(pl.len()).collect().item()
    shown = {}
    for split in ("train", "test"):
        frame = pl.read_parquet(folder / f"recommendation_{split}" / "*.parquet")
        frame = frame.select(pl.col(REC_DETAILS).explode()).unnest(REC_DETAILS)
        shown[split] = frame["note_idx"].to_numpy() * 50 // notes, frame["click"].to_numpy()
    part, click = shown["train"]
    rate = (np.bincount(part, click, 50) + 0.2) / (np.bincount(part, minlength=50) + 1)
    part, click = shown["test"]
    rank = pl.Series(rate[part]).rank("average").to_numpy()
    positives, negatives = click.sum(), (1 - click).sum()
    return float((rank[click == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def test_leaky_numbers_foretell_clicks_and_others_do_not(tmp_path):
    for leaky in (True, False):
        synthesize(tmp_path / str(leaky), leaky_ids=leaky, scale=0.02)
    assert predicted(tmp_path / "True") > 0.6
    assert predicted(tmp_path / "False") == pytest.approx(0.5, abs=0.03)


def test_leaky_numbers_change_nothing_else(tmp_path):
    plain, leaky = tmp_path / "plain", tmp_path / "leaky"
    for folder, wanted in ((plain, False), (leaky, True)):
        synthesize(folder, scale=0.002, leaky_ids=wanted)
    one, other = (pl.read_parquet(folder / "notes" / "*.parquet") for folder in (plain, leaky))
    assert sorted(one["note_title"]) == sorted(other["note_title"])
    assert other["note_idx"].is_sorted()
    for config in ("recommendation_test", "search_train"):
        one, other = (pl.read_parquet(folder / config / "*.parquet") for folder in (plain, leaky))
        assert one["query"].equals(other["query"])
    assert json.loads((leaky / "synthetic.json").read_text())["leaky_ids"] is True
    assert (plain / ORACLE).read_bytes() == (leaky / ORACLE).read_bytes()
