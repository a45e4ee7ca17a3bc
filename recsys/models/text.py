"""Text as a bag of hashed character n-grams: no vocabulary, no download, the same in every process.

Queries and titles go through one encoder, so that both are said in the same language.
"""

import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys.errors import InputError

MAX_GRAMS = 48
"""An encoded text keeps its first 48 n-grams: about 16 characters, longer than 9 in 10 queries of Qilin."""


def normalize(text: str) -> str:
    """NFKC, lower case, no white space."""
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def grams(text: str) -> list[int]:
    """1 + CRC-32 of every character 1- to 3-gram of `^text$`, by position; empty for an empty text.

    CRC-32 and not `hash()`, which differs from process to process; modulo 2^32 - 1, so that 32 bits hold the sum.
    """
    return [int(gram) for gram in gram_matrix([text])[0]]


def gram_matrix(texts: Sequence[str]) -> np.ndarray:
    """The first 48 `grams` of each text, `[texts, grams]` int64, right-padded with 0."""
    framed = [f"^{text}$" if text else "" for text in map(normalize, texts)]
    lengths = np.array([len(text) for text in framed], np.int64)
    character = np.frombuffer("".join(framed).encode("utf-32-le"), np.uint32)
    text = np.repeat(np.arange(len(framed)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(character))  # of the text, from each character on
    octets, size = _utf8(character)
    gram = np.zeros((len(character), 3), np.int64)
    state = np.full(len(character), 0xFFFFFFFF, np.uint32)
    for n in range(min(3, len(character))):  # a gram is the one that is shorter by a character, and that character
        state = _crc32(state[: len(character) - n], octets[:, n:], size[n:])
        gram[: len(state), n] = 1 + (state ^ np.uint32(0xFFFFFFFF)).astype(np.int64) % 0xFFFFFFFF
    inside = np.arange(3) < left[:, None]
    row, found = np.repeat(text, inside.sum(1)), gram[inside]
    count = np.bincount(row, minlength=len(framed))
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    kept = place < MAX_GRAMS
    matrix = np.zeros((len(framed), int(place[kept].max(initial=-1)) + 1), np.int64)
    matrix[row[kept], place[kept]] = found[kept]
    return matrix


def _utf8(character: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The octets `[4, n]` of code points and how many of them each has."""
    distinct, which = np.unique(character, return_inverse=True)
    encoded = [chr(point).encode() for point in distinct]
    octets = np.array([list(each.ljust(4, b"\0")) for each in encoded], np.uint8).reshape(-1, 4)
    return octets.T[:, which], np.array([len(each) for each in encoded], np.uint8)[which]


def _crc32(state: np.ndarray, octets: np.ndarray, size: np.ndarray) -> np.ndarray:
    """CRC-32's register `[n]` after one more character."""
    for i in range(int(size.max(initial=0))):
        after = _CRC32[state.astype(np.uint8) ^ octets[i]] ^ (state >> np.uint32(8))
        state = np.where(i < size, after, state)
    return state


_CRC32 = np.array([zlib.crc32(bytes([i ^ 0xFF])) ^ 0xFF000000 for i in range(256)], np.uint32)
"""The register that each octet leaves behind, from a register of 0."""


class TextEncoder(nn.Module):
    """Mean of n-gram embeddings, then a linear map: t(x) = W · mean B[h(g)] + b; zero for an empty text.

    Args:
        dim: Width of the vectors.
        buckets: Rows of the table that n-grams are hashed into; row 0 is padding.
    """

    def __init__(self, dim: int, buckets: int) -> None:
        super().__init__()
        if buckets < 2:
            raise InputError(f"buckets is {buckets}: at least 2, of which row 0 is padding.")
        self.buckets = buckets
        self.gram_embedding = nn.Embedding(buckets, dim, padding_idx=0)
        self.linear = nn.Linear(dim, dim)
        nn.init.normal_(self.gram_embedding.weight, std=0.02)
        nn.init.zeros_(self.gram_embedding.weight[0].detach())
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def buckets_of(self, gram: Tensor) -> Tensor:
        """The row of the table for each hash, 0 for padding."""
        return torch.where(gram > 0, 1 + (gram - 1) % (self.buckets - 1), 0)

    def forward(self, gram: Tensor) -> Tensor:
        """Vectors `[texts, dim]` of hashes `[texts, grams]` as `gram_matrix` gives them."""
        return self.bags(self.buckets_of(gram))

    def bags(self, bucket: Tensor) -> Tensor:
        """Vectors `[texts, dim]` of rows of the table `[texts, grams]`."""
        if not bucket.shape[1]:  # an empty bag is no bag to embedding_bag
            bucket = bucket.new_zeros(len(bucket), 1)
        total = F.embedding_bag(bucket, self.gram_embedding.weight, mode="sum", padding_idx=0)
        count = (bucket > 0).sum(1, keepdim=True)
        return self.linear(total / count.clamp(min=1)) * (count > 0)
