"""The referee of benchmarks/training.py and what it makes of the jobs, on logs and jobs small enough to do by hand."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from trainers.referee import Referee, ndcg, ranks, read, recall
from trainers.standings import Standing, cheapest, difference, first, standing

# user 1: a b c d; user 2: c and b at the same time, then a and d, then e, which nobody rated before the test
LOG = [
    *("user_id:token\titem_id:token\ttimestamp:float", "1\tb\t2", "2\tc\t1", "1\ta\t1", "2\tb\t1", "1\tc\t3"),
    *("1\td\t4", "2\ta\t2", "2\te\t3", "2\td\t2"),
]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "tiny.inter"
    path.write_text("\n".join(LOG) + "\n", encoding="utf-8")
    return read(path)


def test_log_orders_by_time_and_ties_by_the_file(log):
    assert log.names == [["a", "b", "c", "d"], ["c", "b", "a", "d", "e"]]


def test_catalogue_is_what_was_rated_before_the_test(log):
    assert log.items == ["a", "b", "c", "d"]
    assert log.targets("test").tolist() == [3, -1]
    assert log.targets("valid").tolist() == [2, 3]
    assert [items.tolist() for items in log.inputs("test")] == [[0, 1, 2], [2, 1, 0, 3]]


def test_rank_counts_better_items_and_leaves_out_seen_ones():
    scores = np.array([[4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0]])
    targets = np.array([2, -1])
    assert ranks(scores, targets).tolist() == [3, 0]
    assert ranks(scores, targets, [np.array([0]), np.array([0])]).tolist() == [2, 0]


def test_metrics_of_one_relevant_item():
    rank = np.array([1, 3, 10, 11, 0])
    assert ndcg(rank) == pytest.approx([1, 0.5, 1 / math.log2(11), 0, 0])
    assert recall(rank).tolist() == [1, 1, 1, 0, 0]


def test_referee_keeps_the_test_of_the_epoch_that_validated_best_and_stops_after_its_patience(log, tmp_path):
    referee = Referee(log, tmp_path / "job.json", patience=2, max_epochs=9)
    good, bad = np.eye(4)[[2, 3]], -np.eye(4)[[2, 3]]
    answers = [bad, good, bad, bad]
    stops = []
    for table in answers:
        referee.watch.start()
        referee.watch.stop()
        stops.append(referee.judge(5, lambda split, table=table: table))
    assert stops == [False, False, False, True]
    job = json.loads((tmp_path / "job.json").read_text())
    assert job["best"]["unfiltered"]["epoch"] == 2
    assert job["best"]["unfiltered"]["valid"] == 1
    assert job["best"]["unfiltered"]["ranks"] == [2, 0]  # user 1's test item d is behind c; user 2's is unknown
    assert job["best"]["filtered"]["ranks"] == [1, 0]
    assert not job["finished"]


def epochs(*valid):
    return [{"cpu": 1.0, "wall": 1.0, "targets": 5, "valid": {"unfiltered": v, "filtered": v}} for v in valid]


def test_first_epoch_at_a_target():
    assert first(epochs(0.1, 0.3, 0.2, 0.4), 0.2) == 2
    assert first(epochs(0.1), 0.2) is None


def test_cost_is_the_cheapest_epoch_and_parts_stand_for_wholes():
    jobs = [
        {"epochs": [{"cpu": 3.0, "wall": 9.0}, {"cpu": 4.0, "wall": 4.0}], "part_of_epoch": 0.5},
        {"epochs": [{"cpu": 7.0, "wall": 7.0}]},
    ]
    assert cheapest(jobs) == (6.0, 7.0)
    assert cheapest([]) is None


def job(rank, valid=(0.1, 0.2), finished=True):
    best = {"epoch": 2, "valid": 0.2, "ranks": rank}
    return {"finished": finished, "epochs": epochs(*valid), "best": {"unfiltered": best, "filtered": best}}


def test_seeds_are_averaged_by_user_before_systems_are_paired():
    a = Standing("a", [job([1, 0]), job([3, 0])])
    b = Standing("b", [job([0, 0])])
    assert a.per_user("filtered").tolist() == [0.75, 0]
    mean, low, high = difference(a, b, "filtered")
    assert mean == 0.375
    assert (low, high) == (0, 0.75)
    assert difference(a, a, "filtered") == (0, 0, 0)


def test_figures_count_the_seeds_that_reach_the_target():
    found = Standing("a", [job([1, 0]), job([1, 0], (0.1, 0.1), finished=False)], cost=(10.0, 20.0))
    figures = found.figures(target=0.2)
    assert (figures["seeds"], figures["cut_short"], figures["seeds_at_target"]) == (2, 1, 1)
    assert (figures["cpu_s_to_best"], figures["cpu_s_to_target"]) == (20, 20)
    assert (figures["unfiltered_ndcg@10"], figures["filtered_recall@10"]) == (0.5, 0.5)


def test_row_without_any_epoch_is_left_out(tmp_path):
    (tmp_path / "lib-model-0.json").write_text(json.dumps(job([1]) | {"epochs": []}))
    assert standing("row", "lib-model", tmp_path) is None


def test_cost_in_turns_goes_before_that_of_the_quality_runs(tmp_path):
    (tmp_path / "lib-model-0.json").write_text(json.dumps(job([1]) | {"versions": {}, "machine": "one"}))
    assert standing("row", "lib-model", tmp_path).cost == (1.0, 1.0)
    assert standing("row", "lib-model", tmp_path, as_shipped=False).cost is None
    turn = {"finished": True, "machine": "another", "epochs": [{"cpu": 3.0, "wall": 4.0}], "part_of_epoch": 0.5}
    (tmp_path / "lib-model-cost-0.json").write_text(json.dumps(turn))
    found = standing("row", "lib-model", tmp_path)
    assert (found.cost, found.turns) == ((6.0, 8.0), 1)
    assert found.figures(target=None)["machine"] == "one; another"
