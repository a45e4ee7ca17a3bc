"""Text as hashed character n-grams."""

import zlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.models.text import MAX_GRAMS, TextEncoder, gram_matrix, grams, normalize


def test_the_grams_of_a_known_text():
    expected = ["^", "^a", "^ab", "a", "ab", "ab$", "b", "b$", "$"]
    assert grams("ab") == [1 + zlib.crc32(gram.encode()) for gram in expected]
    assert grams("ab")[3] == 0xE8B7BE43 + 1  # the published CRC-32 of "a"


@pytest.mark.parametrize("text", ["ＡＢ", "a b", " A\tB\n", "ａ　Ｂ"])
def test_width_case_and_white_space_do_not_matter(text):
    assert normalize(text) == "ab"
    assert grams(text) == grams("ab")


@pytest.mark.parametrize("text", ["", " ", "　\n"])
def test_no_text_has_no_grams(text):
    assert grams(text) == []


def test_the_first_48_grams_are_kept():
    long = grams("abcdefghijklmnopqrstuvwxyz")
    assert len(long) == MAX_GRAMS == 48
    assert long == grams("abcdefghijklmnopqrstuvwxyz" * 2)
    assert len(grams("abcdefghijklmn")) == 3 * 16 - 3
    assert grams("a" * 15 + "b") != grams("a" * 15 + "c")  # what 16 characters end in still counts


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=6), max_size=4))
def test_a_matrix_is_the_grams_row_by_row(texts):
    matrix = gram_matrix(texts)
    assert matrix.shape == (len(texts), max((len(grams(text)) for text in texts), default=0))
    assert [[g for g in row if g] for row in matrix.tolist()] == [grams(text) for text in texts]


def test_an_encoded_text_is_the_linear_map_of_the_mean_of_its_rows():
    torch.manual_seed(0)
    encoder = TextEncoder(4, 11)
    with torch.no_grad():
        encoder.linear.bias += 1.0
    gram = torch.tensor([[5, 11, 16, 0], [0, 0, 0, 0]])
    table = encoder.gram_embedding.weight
    # bucket of a hash h + 1: 1 + h mod 10. 4 → 5, 10 → 1, 15 → 6
    mean = (table[5] + table[1] + table[6]) / 3
    vectors = encoder(gram)
    torch.testing.assert_close(vectors[0], encoder.linear(mean))
    assert vectors[1].tolist() == [0.0] * 4  # an empty text is zero, whatever the bias
    assert table[0].tolist() == [0.0] * 4


def test_every_hash_falls_into_a_bucket_and_none_into_that_of_padding():
    encoder = TextEncoder(2, 7)
    with torch.no_grad():
        encoder.gram_embedding.weight[:, 0] = torch.arange(7.0)
        encoder.linear.weight.copy_(torch.eye(2))
    buckets = encoder(torch.tensor([[1 + h] for h in [*range(20), 2**32 - 1]]))[:, 0]
    assert buckets.tolist() == [1 + h % 6 for h in [*range(20), 2**32 - 1]]


def test_no_texts_at_all():
    assert gram_matrix([]).shape == (0, 0)
    assert TextEncoder(4, 11)(torch.zeros(0, 0, dtype=torch.int64)).shape == (0, 4)
