"""External ids and the integers inside."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.atomic import Vocabulary

TOKENS = st.lists(st.text(max_size=4), max_size=12)


def test_the_order_is_that_of_crc_32():
    # the published checksums: a e8b7be43, b 71beeff9, c 06b9df6f
    assert Vocabulary.of(pl.Series(["a", "b", "c", "a"])).tokens == ["c", "b", "a"]


@settings(max_examples=60, deadline=None)
@given(TOKENS, st.randoms())
def test_the_order_does_not_depend_on_the_order_of_the_data(tokens, random):
    shuffled = [*tokens, *tokens]
    random.shuffle(shuffled)
    left, right = (Vocabulary.of(pl.Series(x, dtype=pl.String)) for x in (tokens, shuffled))
    assert left == right
    assert left.sha256 == right.sha256
    assert sorted(left.tokens) == sorted(set(tokens) - {""})


@settings(max_examples=60, deadline=None)
@given(TOKENS)
def test_integers_run_from_one_and_lead_back(tokens):
    vocabulary = Vocabulary.of(pl.Series(tokens, dtype=pl.String))
    integers = vocabulary.encode(vocabulary.tokens)
    assert integers.tolist() == list(range(1, len(vocabulary)))
    assert integers.dtype == np.int64
    assert vocabulary.decode(integers) == list(vocabulary.tokens)


def test_what_is_unknown_is_zero_and_zero_is_padding():
    vocabulary = Vocabulary(["x", "y"])
    assert len(vocabulary) == 3
    assert vocabulary.encode(["y", "nobody", "", "x", "y"]).tolist() == [2, 0, 0, 1, 2]
    assert vocabulary.encode(pl.Series(["y", None])).tolist() == [2, 0]
    assert vocabulary.encode([]).tolist() == []
    assert vocabulary.decode(np.array([2, 0, 1])) == ["y", "[PAD]", "x"]


def test_missing_ids_are_no_items():
    assert Vocabulary.of(pl.Series(["a", "", None])).tokens == ["a"]


def test_the_fingerprint_tells_orders_apart():
    assert Vocabulary(["x", "y"]).sha256 != Vocabulary(["y", "x"]).sha256
