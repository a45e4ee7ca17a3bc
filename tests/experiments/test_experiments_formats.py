"""`recsys compare`: what is ranked with what, what is left out and why, and every way to write it down."""

import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from recsys.__main__ import main
from recsys.experiments import find_runs
from recsys.experiments.wandb_log import CHUNK, CRC_OF_TYPE, HEADER, WHOLE

Write = Callable[..., Path]
COMMON = {"runs": "runs", "trainer": {"max_epochs": 1}, "data": {"path": "d"}}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A tested run of ours with its configuration: 40 requests of 20 users, half of them in the slice "late"."""

    def make(name: str, shift: float = 0.0, seed: int = 0, dim: int = 8, split: str = "test", **more: object) -> Path:
        folder = tmp_path / "runs" / name / "20260101-000000"
        folder.mkdir(parents=True)
        values = np.random.default_rng(0).random(40) + shift
        frame = pl.DataFrame(
            {
                "request": np.arange(40),
                "request_id": [f"r{i}" for i in range(40)],
                "user_id": [f"u{i % 20}" for i in range(40)],
                "ndcg@10": values,
            }
        )
        frame.write_parquet(folder / "test_requests.parquet")
        late = pl.DataFrame({"request": np.arange(40), "late": np.arange(40) >= 20})
        late.write_parquet(folder / "test_slices.parquet")
        result = {
            "model": "SASRec",
            "data": "tiny",
            "data_fingerprint": "f",
            "protocol": {},
            "protocols": {"full": {"split": split, "exclude_seen": False}},
            "metrics": {"test/ndcg@10": values.mean(), "test/popular/ndcg@10": 0.125},
            "slices": {"late": {"metrics": {"test/popular/ndcg@10": 0.25}}},
        }
        (folder / "test.json").write_text(json.dumps(result | more))
        config = COMMON | {"model": {"dim": dim}, "seed_everything": seed, "name": name}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        return folder

    return make


@pytest.fixture
def several(write: Write, tmp_path: Path) -> Path:
    """Two settings of two seeds, one of another split, one that was never tested."""
    for seed in (0, 1):
        write(f"small-{seed}", 0.01 * seed, seed)
        write(f"large-{seed}", 0.01 * seed + 0.5, seed, dim=9)
    write("valid", split="valid")
    untested = write("killed") / "test.json"
    untested.unlink()
    (untested.parent / "test_requests.parquet").unlink()
    (untested.parent / "run.json").write_text(json.dumps({"state": "unfinished"}))
    return tmp_path / "runs"


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["compare", *args]) == 0
    return capsys.readouterr().out


def test_on_the_terminal(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, str(several), "--baseline", "small-0")
    assert "2, ± " in text
    assert "+0.5000 [+0.5000," in text
    assert "dim 9" in text
    assert "single seed" in text
    assert "Not ranked with the first table: other protocol of ndcg@10: split valid instead of test." in text
    assert "Left out: killed/20260101-000000: unfinished, without ndcg@10." in text


def test_as_markdown(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, str(several), "--format", "md", "--baseline", "small-1").splitlines()
    assert lines[0] == "### tiny"
    header, rule, best, worse, popular = (line.split(" | ") for line in lines[2:7])
    assert len(header) == len(rule) == len(best) == len(popular)
    assert (best[0], worse[3]) == ("| large-0/20260101-000000", "baseline")
    assert best[3] == "+0.5000 [+0.5000, +0.5000]"
    assert popular[1:3] == ["popularity", "0.1250"]
    assert "- killed/20260101-000000: unfinished, without ndcg@10" in lines


def test_as_csv_with_numbers_unrounded(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(shown(capsys, str(several), "--format", "csv"))))
    assert [(row["group"], row["seeds"]) for row in rows] == [("0", "2"), ("0", "2"), ("1", "1")]
    (run,) = find_runs([several / "valid"])
    assert float(rows[2]["value"]) == pytest.approx(run.metrics["test/ndcg@10"], rel=1e-15)
    assert (rows[2]["difference"], rows[2]["flags"]) == ("", "single seed")


def test_as_json(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(shown(capsys, str(several), "--format", "json"))
    first, second = found["groups"]
    assert [setting["seeds"] for setting in first["settings"]] == [[0, 1], [0, 1]]
    assert [setting["differs"] for setting in first["settings"]] == [{"dim": 9}, {"dim": 8}]
    assert (first["why_apart"], len(second["why_apart"])) == ([], 1)
    assert {setting["metrics"]["ndcg@10"]["paired"] for setting in first["settings"]} == {True, False}
    assert found["left_out"] == [{"run": "killed/20260101-000000", "why": "unfinished, without ndcg@10"}]


def test_a_page_by_the_ending_of_its_file(several: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "out" / "compared.html"
    assert shown(capsys, str(several), "--output", str(page)) == ""
    text = page.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "large-0/20260101-000000" in text
    assert "split valid instead of test" in text
    assert "http" not in text.replace("Content-Security-Policy", "").replace("http-equiv", "")


def test_an_ending_that_says_nothing(several: Path, refused: Callable[..., str]) -> None:
    assert "--output x.xlsx: must end in one of .md, .csv" in refused("compare", str(several), "--output", "x.xlsx")


def test_a_slice_alone(several: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]) -> None:
    rows = list(csv.DictReader(io.StringIO(shown(capsys, str(several), "--slice", "late", "--format", "csv"))))
    (run,) = find_runs([several / "valid"])
    values = dict(run.requests().select("request", "ndcg@10").iter_rows())
    assert float(rows[-1]["value"]) == pytest.approx(np.mean([values[request] for request in range(20, 40)]))
    assert rows[-1]["slice"] == "late"
    assert "0.2500" in shown(capsys, str(several), "--slice", "late")
    assert "no such slice in" in refused("compare", str(several), "--slice", "latte")


def test_damage_is_a_warning(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = several / "valid" / "20260101-000000" / "wandb" / "offline-run-1" / "run-1.wandb"
    log.parent.mkdir(parents=True)
    log.write_bytes(HEADER + b"\x00" * 9)
    assert main(["compare", str(several)]) == 0
    found = capsys.readouterr()
    assert f"recsys: warning: {log}: is damaged at byte 7; the 0 records before it are read." in found.err
    assert "damaged log" in found.out


def test_an_exported_checkpoint_is_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, dim, value in (("a", 8, 0.25), ("b", 16, 0.5)):
        folder = tmp_path / name
        folder.mkdir()
        config = {"model": "SASRec", "hyperparameters": {"dim": dim}, "data": {"name": "tiny", "fingerprint": "f"}}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "metrics.json").write_text(json.dumps({"metrics": {"val/ndcg@10": value}}))
        (folder / "manifest.json").write_text("{}")
    text = shown(capsys, str(tmp_path), "--format", "md")
    assert "| b | SASRec | 0.5000 | +0.2500 |" in text
    assert "dim 16" in text


def test_a_configuration_that_lies_above_is_no_run(
    several: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("model: {}\ndata: {}\ntrainer: {}\n")
    assert "large-0/20260101-000000" in shown(capsys, str(several))
    assert "large-0/20260101-000000" in shown(capsys, str(tmp_path))


def write_log(file: Path, number: int, steps: int) -> None:
    """An offline run as wandb writes it, without waiting for wandb."""
    from wandb.proto.wandb_internal_pb2 import Record

    records = [Record()]
    records[0].run.run_id, records[0].run.display_name = str(number), f"run {number}"
    item = records[0].run.config.update.add()
    item.key, item.value_json = "lr", str(number / 1000)
    for step in range(steps):
        for kind in ("summary", "history"):
            record = Record(num=len(records))
            part = getattr(record, kind)
            for i in range(8):
                item = part.update.add() if kind == "summary" else part.item.add()
                item.nested_key.append(f"val/metric{i}@10")
                item.value_json = str(number + step / steps)
            records.append(record)
    records.append(Record(num=len(records)))
    records[-1].exit.exit_code = 0
    content = bytearray(HEADER)
    for record in records:
        entry, kinds = record.SerializeToString(), [WHOLE]
        left = 32768 - len(content) % 32768
        if left < CHUNK.size + len(entry):  # in two parts, or behind the padding
            content += bytes(left) if left <= CHUNK.size else b""
            kinds = [WHOLE] if left <= CHUNK.size else [2, 4]
        parts = [entry] if len(kinds) == 1 else [entry[: left - CHUNK.size], entry[left - CHUNK.size :]]
        for kind, part in zip(kinds, parts, strict=True):
            content += CHUNK.pack(zlib_crc(part, kind), len(part), kind) + part
    file.parent.mkdir(parents=True)
    file.write_bytes(content)


def zlib_crc(part: bytes, kind: int) -> int:
    import zlib

    return zlib.crc32(part, CRC_OF_TYPE[kind])


def test_a_run_that_does_not_know_the_slice_is_left_out(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("a")
    other = write("b", 0.5, dim=9)
    (other / "test_slices.parquet").unlink()
    text = shown(capsys, str(other.parents[1]), "--slice", "late", "--format", "md")
    assert "- b/20260101-000000: finished, tested, but without values per request of late" in text


def test_the_baselines_group_stands_first_then_the_largest(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write("a", data_fingerprint="g", protocols={"full": {"split": "test", "items": 9}}).parents[1]
    write("b"), write("c", dim=9)

    def order(*args: str) -> list[str]:
        rows = csv.DictReader(io.StringIO(shown(capsys, str(folder), *args, "--format", "csv")))
        return [row["run"].partition("/")[0] for row in rows]

    assert order() == ["b", "c", "a"]
    assert order("--baseline", "a") == ["a", "b", "c"]
    text = shown(capsys, str(folder), "--format", "md")
    assert "other data: tiny (g) instead of tiny (f)" in text
    assert "items" not in text, "other data have other items, which goes without saying"


def test_two_hundred_runs_of_a_thousand_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path / "wandb" / "offline-run-0" / "run-0.wandb", 0, 1000)
    content = (tmp_path / "wandb" / "offline-run-0" / "run-0.wandb").read_bytes()
    for i in range(1, 200):
        folder = tmp_path / "wandb" / f"offline-run-{i}"
        folder.mkdir()
        (folder / f"run-{i}.wandb").write_bytes(content)
    started = time.process_time()
    text = shown(capsys, str(tmp_path), "--metric", "val/metric0@10", "--format", "csv")
    assert len(text.splitlines()) == 201
    assert "0.999" in text
    assert time.process_time() - started < 30  # of the processor; a quiet machine takes a tenth of it
