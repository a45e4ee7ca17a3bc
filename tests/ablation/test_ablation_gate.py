"""The gate holds for models that read searches, sees that they do, and sees every way in which the future comes in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.ablation import invariance
from recsys.data import SequenceData, histories
from recsys.models import Model, SearchBERT4Rec, SearchSASRec, SESRec, UniSAR


@pytest.fixture(scope="module")
def data(tiny: Path) -> SequenceData:
    return SequenceData(str(tiny), max_len=20)


def grown(kind: type[Model], data: SequenceData, **settings: object) -> Model:
    """With weights at random, the branch included."""
    torch.manual_seed(0)
    network = kind(n_items=data.n_items, max_len=20, dim=8, inner_dim=16, buckets=97, **settings)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.3)
    return network


@pytest.mark.parametrize("fusion", ["pending", "interleave", "cross"])
def test_no_vector_knows_its_future_and_searches_are_read(data: SequenceData, fusion: str) -> None:
    found = invariance(grown(SearchSASRec, data, fusion=fusion), data)
    assert (found.changed, found.training_changed) == (0, 0)
    assert found.holds
    assert found.requests > 100
    assert found.training_points > 150
    assert 0.8 * found.searched < found.read <= found.searched


@pytest.mark.parametrize("kind", [SearchBERT4Rec, SESRec, UniSAR])
def test_of_models_that_read_both_ways_too(data: SequenceData, kind: type[Model]) -> None:
    found = invariance(grown(kind, data), data)
    assert found.holds
    assert found.read > 0.8 * found.searched


def test_a_branch_that_is_still_zero_reads_nothing(data: SequenceData) -> None:
    network = SearchSASRec(n_items=data.n_items, max_len=20, dim=8, inner_dim=16, buckets=97)
    assert invariance(network, data, rounds=1).read == 0


def test_a_margin_hides_the_searches_within_it(tiny: Path) -> None:
    """With searches of the last ten minutes hidden, these belong to the future that is changed."""
    hiding = SequenceData(str(tiny), max_len=20, search_margin=600)
    assert invariance(grown(SearchSASRec, hiding), hiding, rounds=1).holds


BEFORE, COUNT = histories.searches_before, histories.count_before


def ties_are_visible(key: np.ndarray, user: np.ndarray, timestamp: np.ndarray, margin: int = 0) -> np.ndarray:
    return BEFORE(key, user, timestamp + 1, margin)


def an_hour_ahead(key: np.ndarray, user: np.ndarray, timestamp: np.ndarray, margin: int = 0) -> np.ndarray:
    return BEFORE(key, user, timestamp + 3600, margin)


def margin_forgotten(key: np.ndarray, user: np.ndarray, timestamp: np.ndarray, margin: int = 0) -> np.ndarray:
    return BEFORE(key, user, timestamp)


def own_clicks(event_user: np.ndarray, event_time: np.ndarray, user: np.ndarray, time: np.ndarray) -> np.ndarray:
    return COUNT(event_user, event_time, user, time + 60)


@pytest.mark.parametrize(
    ("function", "leak", "margin"),
    [
        ("searches_before", an_hour_ahead, 0),
        ("searches_before", margin_forgotten, 1800),
        ("count_before", own_clicks, 0),
    ],
)
def test_a_leak_in_what_is_visible_shows(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, function: str, leak: Callable[..., np.ndarray], margin: int
) -> None:
    data = SequenceData(str(tiny), max_len=20, search_margin=margin)
    monkeypatch.setattr(histories, function, leak)
    found = invariance(grown(SearchSASRec, data), data, rounds=1)
    assert not found.holds
    assert found.changed > 0.05 * found.requests
    assert found.training_changed > 0.05 * found.training_points


def test_a_leak_of_a_single_second_shows(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches at the very second of a request are few, so one is made for every test request."""
    data = SequenceData(str(tiny), max_len=20)
    requests, searches = data.dataset.requests, data.dataset.searches
    assert searches is not None
    start = {(u, t) for u, t, s in zip(requests.user, requests.timestamp, requests.split, strict=True) if s == 2}
    moved = searches.timestamp.copy()
    for user in np.unique(searches.user):  # each user's last search, to the start of the next request or the last one
        mine = np.flatnonzero(searches.user == user)
        times = [t for u, t in start if u == user]
        if times and (len(mine) < 2 or moved[mine[-2]] <= max(times)):
            moved[mine[-1]] = max(times)
    object.__setattr__(searches, "timestamp", moved)
    network = grown(SearchSASRec, data)
    assert invariance(network, data, rounds=1).holds
    monkeypatch.setattr(histories, "searches_before", ties_are_visible)
    assert invariance(network, data, rounds=1).changed > 10
