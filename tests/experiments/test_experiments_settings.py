"""Seeds of a setting, what differs between settings, and whether the intervals keep their word."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.experiments import Run, compare
from recsys.experiments.settings import SCORES_CALLBACK, differing, flags, over_seeds, settings, welch


def run(name: str, config: dict[str, Any] | None = None, value: float = 0.5, **more: Any) -> Run:
    common = {"model": "SASRec", "data": "d", "fingerprint": "f", "protocol": {}}
    return Run(
        **{"folder": Path(name), "name": name, "metrics": {"test/ndcg@10": value}, **common, **more},
        config=config or {},
    )


def test_runs_that_differ_in_their_seed_alone_are_one_setting() -> None:
    same = {"model.dim": 8, "trainer.logger.init_args.name": "x"}
    runs = [run(f"r{i}", same | {"seed_everything": i, "data.seed": i, "name": f"n{i}"}) for i in range(3)]
    other = run("o", same | {"model.dim": 9, "seed_everything": 0})
    assert settings([*runs, other]) == [runs, [other]]


def test_the_same_seed_again_is_no_further_seed() -> None:
    first, again = run("a", {"seed_everything": 0, "dim": 1}), run("b", {"seed_everything": 0, "dim": 1})
    other = run("c", {"seed_everything": 1, "dim": 1})
    assert settings([first, again, other]) == [[first, other], [again]]


def test_what_has_not_finished_or_says_nothing_of_itself_stands_alone() -> None:
    config = {"dim": 1, "seed_everything": 0}
    runs = [
        run("a", config),
        run("b", config | {"seed_everything": 1}, state="failed"),
        run("c"),
        run("d"),
        run("e", {"dim": 1}),
    ]
    assert settings(runs) == [[each] for each in runs]


def test_a_backbone_is_known_by_its_name_whatever_its_time() -> None:
    runs = [
        run(f"r{i}", {"model.warm_start": f"runs/sasrec/2026-{i}/checkpoint", "seed_everything": i}) for i in (0, 1)
    ]
    assert settings(runs) == [runs]


def test_how_a_sweep_watches_its_trials_is_no_setting() -> None:
    watched = [{"class_path": SCORES_CALLBACK, "init_args": {"path": "trial-0000/scores.csv"}}]
    trial = run("t", {"dim": 1, "seed_everything": 0, "trainer.callbacks": watched})
    again = run("a", {"dim": 1, "seed_everything": 1, "trainer.callbacks": None})
    other = run("o", {"dim": 1, "seed_everything": 2, "trainer.callbacks": [*watched, {"class_path": "Mine"}]})
    assert settings([trial, again, other]) == [[trial, again], [other]]


def test_only_keys_that_differ_are_shown_by_their_shortest_names() -> None:
    a = run("a", {"model.net.dim": 8, "model.lr": 1, "data.len": 5, "seed_everything": 0, "x.size": 1, "y.size": 1})
    b = run("b", {"model.net.dim": 9, "model.lr": 1, "data.len": 5, "seed_everything": 1, "x.size": 2, "y.size": 2})
    c = run("c", {"model.lr": 1, "data.len": 5, "x.size": 1, "y.size": 1})
    assert differing([[a], [b], [c]]) == [
        {"dim": 8, "x.size": 1, "y.size": 1},
        {"dim": 9, "x.size": 2, "y.size": 2},
        {"x.size": 1, "y.size": 1},
    ]
    assert differing([[a], [a]]) == [{}, {}]


def test_flags() -> None:
    seeds = [run("a", {"seed_everything": 0}), run("b", {"seed_everything": 1})]
    assert flags(seeds) == ()
    assert flags(seeds[:1]) == ("single seed",)
    assert flags([replace(seeds[0], state="unfinished", warnings=("x",))]) == (
        "unfinished",
        "single seed",
        "damaged log",
    )


def test_three_seeds_by_hand() -> None:
    mean, low, high = over_seeds([1.0, 2.0, 3.0])
    assert (mean, (high - low) / 2) == (2.0, pytest.approx(4.302653 / np.sqrt(3)))
    assert np.isnan(over_seeds([1.0]).low)


def test_equal_seeds_differ_by_exactly_nothing() -> None:
    assert tuple(welch([0.5, 0.5], [0.5, 0.5])) == (0, 0, 0)
    assert welch([0.1, 0.2], [0.1, 0.2]).mean == 0
    assert np.isnan(welch([0.5], [0.25, 0.5]).low)


def test_intervals_over_seeds_cover_the_truth_at_their_level() -> None:
    rng = np.random.default_rng(0)
    rounds = 2000
    inside = sum(low <= 1.5 <= high for _, low, high in (over_seeds(rng.normal(1.5, 0.2, 3)) for _ in range(rounds)))
    assert inside / rounds == pytest.approx(0.95, abs=0.02)
    pairs = ((rng.normal(1.5, 0.2, 3), rng.normal(1.0, 0.05, 5)) for _ in range(rounds))
    inside = sum(low <= 0.5 <= high for _, low, high in (welch(a, b) for a, b in pairs))
    assert inside / rounds == pytest.approx(0.95, abs=0.025)


def with_rows(folder: Path, values: np.ndarray, seed: int, dim: int) -> Run:
    """200 requests of 50 users."""
    folder.mkdir()
    users = [f"u{i % 50}" for i in range(len(values))]
    frame = pl.DataFrame({"user_id": users, "request_id": [f"r{i}" for i in range(len(values))], "ndcg@10": values})
    frame.write_parquet(folder / "test_requests.parquet")
    return run(str(folder), {"dim": dim, "seed_everything": seed}, float(values.mean()), state="finished")


def test_paired_intervals_cover_the_true_difference_and_find_what_unpaired_ones_miss(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    covered, found, missed, rounds = 0, 0, 0, 60
    for i in range(rounds):
        hard = rng.normal(0, 0.3, 50)[np.arange(200) % 50]  # requests of a user are alike
        base = 0.5 + hard + rng.normal(0, 0.05, 200)
        better = base + 0.02 + rng.normal(0, 0.05, 200)
        runs = [with_rows(tmp_path / f"a{i}", base, 0, 1), with_rows(tmp_path / f"b{i}", better, 0, 2)]
        (rows,) = compare(runs, "ndcg@10")
        (row,) = (row for row in rows if row.difference is not None)
        (other,) = (other for other in rows if other is not row)
        assert row.paired
        covered += row.difference.low <= 0.02 <= row.difference.high
        found += row.difference.low > 0 and row.p < 0.05
        missed += row.value.low <= other.value.high
    assert covered >= 0.85 * rounds
    assert found > 0.9 * rounds
    assert missed == rounds


def test_of_several_seeds_the_mean_is_compared(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    base = rng.random(200)
    runs = [with_rows(tmp_path / f"a{i}", base + 0.1 * i, i, 1) for i in range(3)]
    runs += [with_rows(tmp_path / f"b{i}", base + 0.1 * i + 0.05, i, 2) for i in range(3)]
    ((better, worse),) = compare(runs, "ndcg@10")
    assert [len(row.runs) for row in (better, worse)] == [3, 3]
    assert better.value.mean == pytest.approx(base.mean() + 0.15)
    assert tuple(better.difference) == pytest.approx((0.05, 0.05, 0.05))
    assert tuple(better.seeds) == pytest.approx(tuple(over_seeds([base.mean() + 0.05 + 0.1 * i for i in range(3)])))
    assert (better.flags, worse.difference) == ((), None)


def test_identical_settings_differ_by_nothing(tmp_path: Path) -> None:
    values = np.random.default_rng(3).random(200)
    runs = [with_rows(tmp_path / name, values, 0, 1) for name in ("a", "b")]
    ((_, row),) = compare(runs, "ndcg@10")
    assert (tuple(row.difference), row.p) == ((0, 0, 0), 1)
    plain = [replace(each, folder=tmp_path / "gone" / each.name) for each in runs]
    ((_, row),) = compare(plain, "ndcg@10")
    assert row.difference.mean == 0


def test_losses_are_the_better_the_lower() -> None:
    runs = [run("a", value=0.5, metrics={"val/loss": 2.0}), run("b", metrics={"val/loss": 1.0})]
    ((first, second),) = compare(runs, "val/loss")
    assert (first.run.name, second.run.name) == ("b", "a")
