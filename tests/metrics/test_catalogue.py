from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.metrics import catalogue

LISTS = [[5, 7, 3], [4, 5, 2], [2, 3, 5], [1, 4, 6], [5, 3, 7]]


def test_eight_items_of_which_one_is_never_shown():
    """RecBole's own test case (`tests/metrics/test_topk_metrics.py`)."""
    got = catalogue(LISTS, 8, [3], compat="recbole")
    shares = np.array([1, 2, 3, 2, 4, 1, 2]) / 15
    assert got["coverage@3"] == 7 / 8
    assert got["gini@3"] == pytest.approx(
        (-5 * 1 - 3 * 1 - 1 * 2 + 1 * 2 + 3 * 2 + 5 * 3 + 7 * 4) / (8 * 15), abs=1e-15
    )
    assert got["entropy@3"] == pytest.approx(-(shares * np.log(shares)).mean(), abs=1e-15)
    assert catalogue(LISTS, 8, [3])["entropy@3"] == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-15)


def test_the_same_list_for_everybody_and_nothing_in_common():
    assert catalogue([[1, 2], [1, 2], [1, 2]], 9, [2])["personalisation@2"] == 0
    assert catalogue([[1, 2], [3, 4], [5, 6]], 9, [2])["personalisation@2"] == 1


def test_everything_shown_equally_often_is_even():
    got = catalogue([[1, 2], [3, 4]], 4, [2])
    assert (got["coverage@2"], got["gini@2"]) == (1, 0)
    assert got["entropy@2"] == pytest.approx(np.log(4))


def test_padding_shows_nothing_and_a_list_may_be_shorter_than_the_cutoff():
    assert catalogue([[1, 2, 0], [3, 0, 0]], 5, [10]) == {
        name.replace("@2", "@10"): value for name, value in catalogue([[1, 2], [3, 0]], 5, [2]).items()
    }


def test_nothing_shown():
    got = catalogue([[0], [0]], 5, [1])
    assert got.pop("coverage@1") == 0
    assert np.isnan(list(got.values())).all()
    assert np.isnan(catalogue(np.zeros((0, 3), int), 5, [1])["gini@1"])


def test_one_list_has_no_other_to_differ_from():
    assert np.isnan(catalogue([[1, 2]], 5, [1])["personalisation@1"])


@given(st.integers(0, 2**32 - 1))
def test_every_cutoff_equals_the_definitions(seed):
    rng = np.random.default_rng(seed)
    items, requests, depth = 20, int(rng.integers(2, 6)), int(rng.integers(1, 9))
    ranked = np.stack([rng.permutation(items)[:depth] + 1 for _ in range(requests)])
    got = catalogue(ranked, items, range(depth, 0, -1))
    for k in range(1, depth + 1):
        lists = ranked[:, :k].tolist()
        times = Counter(item for row in lists for item in row)
        n = np.sort([times[item] for item in range(1, items + 1)])
        cosines = [len({*a} & {*b}) / k for i, a in enumerate(lists) for b in lists[:i]]
        p = n[n > 0] / n.sum()
        expected = {
            "coverage": (n > 0).mean(),
            "gini": ((2 * np.arange(1, items + 1) - items - 1) * n).sum() / (items * n.sum()),
            "entropy": -(p * np.log(p)).sum(),
            "personalisation": 1 - np.mean(cosines),
        }
        assert {name: got[f"{name}@{k}"] for name in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["ItemCoverage", "GiniIndex", "ShannonEntropy"])
def test_recbole(name):
    peers = pytest.importorskip("recbole.evaluator.metrics")
    ranked = np.random.default_rng(0).zipf(1.5, (200, 20)).clip(max=300)
    metric = getattr(peers, name)({"metric_decimal_place": 4, "topk": [20]})
    ours = catalogue(ranked, 300, [7], compat="recbole")
    cut = ranked[:, :7]
    peer = {
        "ItemCoverage": lambda: metric.get_coverage(cut, 300),
        "GiniIndex": lambda: metric.get_gini(cut, 300),
        "ShannonEntropy": lambda: metric.get_entropy(cut),
    }[name]()
    column = {"ItemCoverage": "coverage@7", "GiniIndex": "gini@7", "ShannonEntropy": "entropy@7"}[name]
    assert ours[column] == pytest.approx(peer, abs=1e-12)


@pytest.mark.parametrize(
    ("ranked", "items", "message"), [([[9]], 8, "9"), ([[-1]], 8, "-1"), ([[1]], 0, "items"), ([[1.5]], 8, "integers")]
)
def test_bad_arguments(ranked, items, message):
    with pytest.raises(InputError, match=message):
        catalogue(ranked, items, [1])
