"""The slices that are declared before anything is measured: where searches could help, and where they cannot."""

import numpy as np

from recsys import atomic
from recsys.ablation.titles import Titles, last_search, new_topic
from recsys.training.protocols import Questions

RIGHT_AFTER = 1800
"""Seconds."""


def slices(questions: Questions, found: Titles | None, rows: np.ndarray) -> dict[str, np.ndarray]:
    """By name, which of the requests `rows` are inside, `[requests]` bool; new topics only where titles are told."""
    searches, target = questions.dataset.searches, questions.dataset.requests.target.take(rows)
    assert searches is not None
    search, since = last_search(questions, rows), questions.since_search(rows)
    searched = search >= 0
    kind = searches.type[search] if len(searches.type) else search
    cold = np.bincount(target.group[target.values == 0], minlength=len(rows)) > 0
    inside = {
        "right after a search": searched & (since <= RIGHT_AFTER),
        "new-topic query": np.zeros(len(rows), bool) if found is None else new_topic(questions, found, rows),
        "typed query": searched & (kind == atomic.TYPED),
        "cold target": cold,
        "no search": ~searched,
    }
    if found is None:
        inside.pop("new-topic query")
    return inside
