"""Counts of several processes, as Prometheus reads them."""

import subprocess
import sys
from pathlib import Path

from recsys.serving.metrics import Counts


def samples(text: str) -> dict[str, float]:
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


def test_a_request_is_counted_by_its_path_and_status(tmp_path: Path) -> None:
    counts = Counts(tmp_path)
    counts.request("/recommend", 200, 0.003)
    counts.request("/recommend", 422, 0.5)
    counts.request("/robots.txt", 404, 0.5)
    counts.request("/items", 418, 0.5)
    found = samples(counts.text())
    assert {name: value for name, value in found.items() if name.startswith("recsys_requests_total")} == {
        'recsys_requests_total{path="/recommend",status="200"}': 1,
        'recsys_requests_total{path="/recommend",status="422"}': 1,
        'recsys_requests_total{path="other",status="404"}': 1,
        'recsys_requests_total{path="/items",status="other"}': 1,
    }
    assert found["recsys_recommend_seconds_sum"] == 0.003, "of those alone that came to recommendations"


def test_buckets_hold_everything_up_to_their_bound(tmp_path: Path) -> None:
    counts = Counts(tmp_path)
    for size in (1, 2, 3, 1000):
        counts.batch(size, waiting=size)
    found = samples(counts.text())
    bounds = ("1", "2", "4", "256", "+Inf")
    assert [found[f'recsys_batch_size_bucket{{le="{bound}"}}'] for bound in bounds] == [1, 2, 3, 3, 4]
    assert (found["recsys_batch_size_sum"], found["recsys_batch_size_count"]) == (1006, 4)
    assert found["recsys_waiting_requests"] == 1000


def test_a_worker_that_has_ended_leaves_its_counts_but_no_longer_works(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from recsys.serving.metrics import Counts; "
        "counts = Counts(Path(sys.argv[1])); counts.answer(3, 'popularity'); counts.batch(5, waiting=7)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    counts = Counts(tmp_path)
    counts.answer(1, "model")
    found = samples(counts.text())
    assert found["recsys_unknown_items_total"] == 4
    assert found["recsys_popularity_answers_total"] == 1
    assert found["recsys_batch_size_sum"] == 5
    assert found["recsys_waiting_requests"] == 0
    assert found["recsys_workers"] == 1
