"""Lists as two flat arrays."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.ragged import Ragged, grouped_offsets, offsets_of, ranges

LISTS = st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=5)


def ragged(lists):
    return Ragged(offsets_of(np.array([len(x) for x in lists], int)), np.array([v for x in lists for v in x], int))


def test_ranges_one_after_the_other():
    index, lengths = ranges(np.array([5, 2, 7, 0]), np.array([8, 2, 9, 1]))
    assert index.tolist() == [5, 6, 7, 7, 8, 0]
    assert lengths.tolist() == [3, 0, 2, 1]


def test_no_ranges():
    index, lengths = ranges(np.zeros(0, int), np.zeros(0, int))
    assert (len(index), len(lengths)) == (0, 0)


def test_offsets():
    assert offsets_of(np.array([2, 0, 3])).tolist() == [0, 2, 2, 5]
    assert offsets_of(np.array([], int)).tolist() == [0]
    assert grouped_offsets(np.array([0, 0, 2, 2, 2]), 4).tolist() == [0, 2, 2, 5, 5]
    assert grouped_offsets(np.zeros(0, int), 2).tolist() == [0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(LISTS, st.data())
def test_taking_lists_is_taking_lists(lists, data):
    rows = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=6)) if lists else []
    taken = ragged(lists).take(np.array(rows, int))
    assert [taken[i].tolist() for i in range(len(taken))] == [lists[i] for i in rows]
    assert taken.lengths.tolist() == [len(lists[i]) for i in rows]
