"""Tested runs side by side: what may be compared, with what, and what the table says."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.__main__ import main
from recsys.errors import InputError
from recsys.experiments import compare, find_runs

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A run as `recsys test` leaves it: 60 requests of 20 users, with the given values per request."""

    def make(
        name: str, values: np.ndarray, model: str = "SASRec", fingerprint: str = "f", exclude_seen: bool = False
    ) -> Path:
        folder = tmp_path / "runs" / name / "20260101-000000"
        folder.mkdir(parents=True)
        frame = pl.DataFrame(
            {
                "request_id": [f"r{i}" for i in range(60)],
                "user_id": [f"u{i % 20}" for i in range(60)],
                "timestamp": np.arange(60),
                "ndcg@10": values,
                "recall@10": values / 2,
            }
        )
        frame.sample(fraction=1.0, shuffle=True, seed=len(name)).write_parquet(folder / "test_requests.parquet")
        result = {
            "model": model,
            "data": f"data-{fingerprint}",
            "data_fingerprint": fingerprint,
            "protocol": {"exclude_seen": exclude_seen, "vocabulary": ["train"]},
            "metrics": {"test/ndcg@10": float(values.mean()), "test/popular/ndcg@10": 0.125},
        }
        (folder / "test.json").write_text(json.dumps(result))
        return folder

    return make


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).random(60)


def test_identical_runs_differ_by_exactly_nothing(write: Write, values: np.ndarray) -> None:
    found = find_runs([write("a", values), write("bb", values)])
    ((first, second),) = compare(found, "ndcg@10")
    assert first.difference is None
    assert tuple(second.difference) == (0, 0, 0)
    assert (first.p, first.wilcoxon_p) == (None, None)
    assert (second.p, second.wilcoxon_p) == (1, 1)
    assert first.value == second.value


def test_a_constant_difference_is_found_request_by_request(write: Write, values: np.ndarray) -> None:
    found = find_runs([write("a", values), write("bb", values + 0.25)])
    ((better, worse),) = compare(found, "ndcg@10")
    assert (better.run.name, worse.run.name) == ("bb/20260101-000000", "a/20260101-000000")
    assert tuple(better.difference) == pytest.approx((0.25, 0.25, 0.25))


def test_the_interval_is_over_users(write: Write) -> None:
    by_user = np.tile(np.arange(20.0), 3)
    (run,) = find_runs([write("a", by_user)])
    ((row,),) = compare([run], "ndcg@10")
    mean, low, high = row.value
    assert mean == pytest.approx(9.5)
    half = 1.96 * by_user[:20].std(ddof=1) / np.sqrt(20)
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)


def test_the_more_runs_are_compared_the_less_one_difference_says(write: Write, values: np.ndarray) -> None:
    base, better, same = write("a", values), write("bb", values + 0.25), write("ccc", values)
    ((row, _),) = compare(find_runs([base, better]), "ndcg@10", find_runs([base])[0])
    assert row.p is not None
    assert row.p < 0.001
    found = find_runs([base, better, same])
    (rows,) = compare(found, "ndcg@10", found[0])
    of_run = {each.run.folder: each for each in rows}
    assert of_run[better].p == pytest.approx(2 * row.p)
    assert of_run[better].wilcoxon_p == pytest.approx(2 * row.wilcoxon_p)
    assert of_run[same].p == 1


def test_pairs_are_found_by_request_not_by_row(write: Write, values: np.ndarray) -> None:
    folders = [write("a", values), write("bb", values)]
    frame = pl.read_parquet(folders[1] / "test_requests.parquet")
    frame.with_columns(request_id=pl.lit("x") + pl.col("request_id")).write_parquet(
        folders[1] / "test_requests.parquet"
    )
    with pytest.raises(InputError, match="has other test requests than"):
        compare(find_runs(folders), "ndcg@10")


def test_runs_that_share_one_protocol_and_not_another(
    write: Write, values: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [write("a", values), write("bb", values)]
    for i, folder in enumerate(folders):
        result = json.loads((folder / "test.json").read_text())
        result["protocols"] = {"full": {"items": 9}, "given": {"sha256": str(i)}}
        result["metrics"]["test/given/ndcg@10"] = 0.5
        (folder / "test.json").write_text(json.dumps(result))
        frame = pl.read_parquet(folder / "test_requests.parquet")
        frame.with_columns(pl.lit(0.5).alias("given/ndcg@10")).write_parquet(folder / "test_requests.parquet")
    assert [len(group) for group in compare(find_runs(folders), "ndcg@10")] == [2]
    assert [len(group) for group in compare(find_runs(folders), "given/ndcg@10")] == [1, 1]
    assert main(["compare", *map(str, folders), "--metric", "ndcg@10", "given/ndcg@10"]) == 0
    shown = capsys.readouterr().out
    assert "tables of their own" in shown
    assert "given/ndcg@10: sha256: 1" in shown


def test_a_mean_over_users_is_compared_over_users(write: Write) -> None:
    values = np.random.default_rng(1).random(60)
    folders = [write("a", values), write("bb", values * 0.5)]
    for folder in folders:
        result = json.loads((folder / "test.json").read_text())
        result["protocol"]["average"] = "user"
        (folder / "test.json").write_text(json.dumps(result))
        frame = pl.read_parquet(folder / "test_requests.parquet")
        few = pl.when(pl.col("timestamp") < 30).then(pl.lit("u0")).otherwise("user_id")
        frame.with_columns(few.alias("user_id")).write_parquet(folder / "test_requests.parquet")
    ((first, second),) = compare(find_runs(folders), "ndcg@10")
    by_user = first.run.requests().group_by("user_id").agg(pl.col("ndcg@10").mean())["ndcg@10"].mean()
    assert first.value.mean == pytest.approx(by_user)
    assert second.difference is not None
    assert second.difference.mean == pytest.approx(-by_user / 2)


@pytest.mark.parametrize("other", [{"fingerprint": "g"}, {"exclude_seen": True}])
def test_what_cannot_be_compared_stands_apart(
    write: Write, values: np.ndarray, capsys: pytest.CaptureFixture[str], other: dict
) -> None:
    folders = [write("a", values), write("bb", values, **other)]
    groups = compare(find_runs(folders), "ndcg@10")
    assert [len(group) for group in groups] == [1, 1]
    assert all(group[0].difference is None for group in groups)
    assert main(["compare", *map(str, folders)]) == 0
    assert "tables of their own" in capsys.readouterr().out


def test_the_baseline_is_named_by_its_model(
    write: Write, values: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    write("a", values, "SearchSASRec")
    folder = write("bb", values + 0.5, "SASRec")
    for baseline in ("SASRec", "bb", "bb/20260101-000000", str(folder)):
        assert main(["compare", str(folder.parents[1]), "--baseline", baseline]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert any("SASRec" in line and "baseline" in line and "SearchSASRec" not in line for line in lines)
        assert any("-0.5000" in line for line in lines)
        assert any("popularity" in line and "0.1250" in line for line in lines)


def test_chosen_metrics_are_shown_in_their_order(
    write: Write, values: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write("a", values)
    assert main(["compare", str(folder), "--metric", "recall@10", "ndcg@10"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("recall@10") < shown.index("ndcg@10")
    assert f"{values.mean() / 2:.4f}" in shown


def test_a_metric_that_was_not_measured(write: Write, values: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(write("a", values)), "--metric", "ndgc@10"]) == 2
    assert "Did you mean 'ndcg@10'?" in capsys.readouterr().err


def test_a_baseline_that_is_not_there(write: Write, values: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(write("a", values)), "--baseline", "BERT4Rec"]) == 2
    assert "--baseline BERT4Rec: none of a/20260101-000000." in capsys.readouterr().err


def test_a_run_that_was_never_tested(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run"):
        find_runs([tmp_path])


def test_a_run_named_twice_counts_once(write: Write, values: np.ndarray) -> None:
    folder = write("a", values)
    assert len(find_runs([folder, folder.parent])) == 1


def test_parts_of_several_processes_are_one_run(write: Write, values: np.ndarray) -> None:
    whole, parts = write("a", values), write("bb", values)
    frame = pl.read_parquet(parts / "test_requests.parquet")
    (parts / "test_requests.parquet").unlink()
    frame[:7].write_parquet(parts / "test_requests.0.parquet")
    frame[7:].write_parquet(parts / "test_requests.1.parquet")
    first, second = find_runs([whole, parts])
    assert first.requests().equals(second.requests())


def test_a_run_without_its_rows_is_compared_by_its_means(write: Write, values: np.ndarray) -> None:
    folders = [write("a", values), write("bb", values + 0.25)]
    (folders[0] / "test_requests.parquet").unlink()
    ((better, worse),) = compare(find_runs(folders), "ndcg@10")
    assert better.difference is not None
    assert better.difference.mean == pytest.approx(0.25)
    assert np.isnan(better.difference.low)
    assert (better.paired, better.p) == (False, None)
    assert np.isnan(worse.value.low)
