"""The leaderboard: read and written, judged, and a row that really comes out again."""

import csv
import functools
import importlib.util
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

from recsys.__main__ import main
from recsys.commands import reproduce
from recsys.errors import InputError
from recsys.experiments.leaderboard import Plan, Row, judge, read_leaderboard, rows_named, write_leaderboard
from recsys.experiments.measuring import measure
from recsys.metrics import Interval

ROOT = Path(__file__).parents[2]
TINY = "--model.network.init_args.layers 1 --model.cutoffs [10] --data.max_len 5 --data.stride 5"
PLAN = Plan(
    row="tiny/0",
    config="sasrec_ml-100k",
    data="ml-100k",
    seed=0,
    prepare="recsys convert ml-100k --output data/ml-100k",
    command=f"recsys fit --config sasrec_ml-100k {TINY} --trainer.accelerator cpu --trainer.max_steps 2 && "
    f"recsys test --config sasrec_ml-100k {TINY} --trainer.accelerator cpu",
)


@pytest.fixture
def row() -> Row:
    return Row(
        **vars(PLAN),
        model="SASRec",
        metrics={"ndcg@10": Interval(0.1, 0.09, 0.11), "recall@10": Interval(0.2, 0.18, 0.22)},
        protocol="split: test; ties: the smaller id first",
        fingerprint="f" * 64,
        cpu_s=12.5,
        wall_s=20.0,
        peak_memory_gb=0.75,
        parameters=1000,
        device="CPU",
        machine="AMD EPYC, AVX512, 1 thread",
        versions="python 3.11.7, torch 2.13.0",
    )


def test_rows_are_read_as_they_were_written(row: Row, tmp_path: Path) -> None:
    rows = [row, replace(row, row="tiny/1", metrics={**row.metrics, "exposed/ndcg@10": Interval(0.5, 0.4, 0.6)})]
    write_leaderboard(tmp_path / "board.csv", rows)
    assert read_leaderboard(tmp_path / "board.csv") == rows


def test_a_row_is_found_by_its_name_and_all_seeds_by_theirs(row: Row) -> None:
    rows = [row, replace(row, row="tiny/1"), replace(row, row="tiny-2/0")]
    assert rows_named(rows, "tiny/1") == [rows[1]]
    assert rows_named(rows, "tiny") == rows[:2]
    with pytest.raises(InputError, match=r"tinny/0: no row of the leaderboard. Did you mean 'tiny/0'\?"):
        rows_named(rows, "tinny/0")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("ndcg@10", "much", r"board\.csv, line 2: ndcg@10 'much' is no number"),
        ("ndcg@10 low", "", r"board\.csv, line 2: ndcg@10 low '' is no number"),
        ("seed", "x", r"board\.csv, line 2: seed 'x' is no number"),
        ("command", "", r"board\.csv, line 2: has no command"),
    ],
)
def test_a_damaged_line_is_named(row: Row, tmp_path: Path, column: str, value: str, said: str) -> None:
    path = tmp_path / "board.csv"
    write_leaderboard(path, [row])
    with path.open(encoding="utf-8") as file:
        (cells,) = csv.DictReader(file)
    with path.open("w", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(cells))
        writer.writeheader()
        writer.writerow({**cells, column: value})
    with pytest.raises(InputError, match=said):
        read_leaderboard(path)


@pytest.mark.parametrize("value", [0.1, 0.095])
def test_on_the_same_machine_only_the_same_digits_agree(row: Row, value: float) -> None:
    verdict = judge(row, with_ndcg(row, value))
    assert verdict.agrees == (value == 0.1)
    assert "on the same machine with the same versions" in verdict.reasons[0]


@pytest.mark.parametrize("other", ["machine", "device", "versions"])
@pytest.mark.parametrize(("value", "agrees"), [(0.1, True), (0.095, True), (0.089, False), (0.111, False)])
def test_elsewhere_the_interval_has_to_hold(row: Row, other: str, value: float, agrees: bool) -> None:
    verdict = judge(row, replace(with_ndcg(row, value), **{other: "another"}))
    assert verdict.agrees == agrees
    expected = "within the intervals" if agrees else f"ndcg@10: {value:.6f} is outside of [0.090000, 0.110000]"
    assert expected in verdict.reasons[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fingerprint": "e" * 64}, "other data: fingerprint eeeeeeeeeeee, not ffffffffffff"),
        ({"protocol": "split: valid"}, "another protocol"),
        ({"metrics": {"ndcg@10": Interval(0.1, 0.09, 0.11)}}, "recall@10: was not measured again"),
    ],
)
def test_other_data_and_other_questions_disagree_wherever(row: Row, change: dict, said: str) -> None:
    for machine in (row.machine, "another"):
        verdict = judge(row, replace(row, machine=machine, **change))
        assert not verdict.agrees
        assert said in verdict.reasons[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"command": "recsys fit && rm -rf ."}, "'rm -rf .' is none of the commands recsys synthesize"),
        ({"command": "recsys publish x && recsys test"}, "'recsys publish x' is none"),
        ({"prepare": "recsys"}, "'recsys' is none"),
        ({"prepare": "recsys convert ml-100k"}, "needs --output"),
        ({"command": "recsys fit --config x"}, "not fits and then a test"),
        ({"command": "recsys test"}, "not fits and then a test"),
    ],
)
def test_a_leaderboard_of_anyone_runs_nothing_but_what_it_may(tmp_path: Path, change: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        measure(replace(PLAN, **change), tmp_path, lambda message: None)
    assert not list(tmp_path.rglob("*.json"))


def test_a_row_comes_out_again_and_a_forged_one_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    made = measure(PLAN, tmp_path / "first", said.append)
    assert [line.split()[2] for line in said] == ["convert", "fit", "test"]
    assert (made.model, made.data, made.device) == ("SASRec", "ml-100k", "CPU")
    assert 0 <= made.metrics["ndcg@10"].low <= made.metrics["ndcg@10"].mean <= made.metrics["ndcg@10"].high
    assert set(made.metrics) == {"ndcg@10", "recall@10", "mrr@10", "popular/ndcg@10"}, "nothing was exposed there"
    assert made.cpu_s > 0
    assert 0.2 < made.peak_memory_gb < 5
    assert made.parameters > 1680 * 64
    assert "exclude seen: True" in made.protocol
    assert "1 thread" in made.machine

    board = tmp_path / "board.csv"
    forged = with_ndcg(made, round(made.metrics["ndcg@10"].mean + 1e-6, 6))
    write_leaderboard(board, [made])
    asked = ["--leaderboard", str(board), "--work", str(tmp_path / "first")]
    again = functools.cache(lambda row: measure(replace(PLAN, row=row), tmp_path / "first", said.append))
    monkeypatch.setattr(reproduce, "measure", lambda plan, *others: again(plan.row))  # run again, but once
    assert main(["reproduce", "tiny/0", *asked]) == 0
    assert "tiny/0 agrees: to the digit (6 decimals)" in capsys.readouterr().out
    assert said.count("tiny/0: recsys fit --config sasrec_ml-100k") == 2

    write_leaderboard(board, [forged])
    assert main(["reproduce", "tiny", *asked]) == 2
    shown = capsys.readouterr()
    assert "tiny/0 DISAGREES: ndcg@10: " in shown.out, "one in the last digit"
    assert "tiny/0 did not come out" in shown.err


@pytest.mark.skipif(sys.platform != "linux", reason="finds the command under /proc")
def test_what_killed_a_command_is_said(tmp_path: Path) -> None:
    def killed() -> None:
        while True:
            for children in Path("/proc/self/task").glob("*/children"):
                for child in children.read_text().split():
                    if b"convert\0ml-100k" in Path("/proc", child, "cmdline").read_bytes():
                        return os.kill(int(child), signal.SIGKILL)

    killer = Thread(target=killed, daemon=True)
    with pytest.raises(
        InputError, match=r"convert of tiny/0 failed \(killed by SIGKILL, as by a machine out of memory\)"
    ):
        measure(PLAN, tmp_path, lambda message: killer.start())
    assert not list(tmp_path.rglob("*.inter"))


def test_the_pages_are_what_the_file_says() -> None:
    script, rows = benchmark(), read_leaderboard(ROOT / "benchmarks" / "leaderboard.csv")
    for place, rendered in (("docs/leaderboard.md", script.page), ("zoo_configs/README.md", script.catalogue)):
        assert (ROOT / place).read_text("utf-8") == rendered(rows), "run: python benchmarks/leaderboard.py --render"


def test_every_shipped_config_is_planned_and_every_row_is_of_a_plan() -> None:
    script = benchmark()
    plans = {plan.row: plan for plan in script.plans()}
    shipped = {file.stem for file in (ROOT / "zoo_configs").rglob("*.yaml") if file.parent.name != "spaces"}
    assert {plan.config for plan in plans.values()} == shipped
    for row in read_leaderboard(ROOT / "benchmarks" / "leaderboard.csv"):
        assert vars(plans[row.row]).items() <= vars(row).items(), f"{row.row} was measured by other commands"


def test_seeds_are_averaged_and_all_of_them_shown(row: Row) -> None:
    rows = [row, replace(with_ndcg(row, 0.2), row="tiny/1", seed=1, cpu_s=13.5)]
    text = benchmark().page(rows)
    (line,) = (line for line in text.splitlines() if line.startswith("| `tiny`"))
    assert "0.1500 [0.0900, 0.1100]" in line
    assert "0.1000, 0.2000" in line
    assert "| 13 |" in line


def with_ndcg(row: Row, value: float) -> Row:
    return replace(row, metrics={**row.metrics, "ndcg@10": row.metrics["ndcg@10"]._replace(mean=value)})


def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("leaderboard", ROOT / "benchmarks" / "leaderboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
