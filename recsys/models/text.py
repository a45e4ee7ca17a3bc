"""Text as a bag of hashed character n-grams: no vocabulary, no download, the same in every process."""

import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from recsys.errors import InputError

MAX_GRAMS = 48
"""An encoded text keeps its first 48 n-grams: about 16 characters, longer than 9 in 10 queries of Qilin."""


def normalize(text: str) -> str:
    """NFKC, lower case, no white space."""
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def grams(text: str) -> list[int]:
    """CRC-32 plus 1 of every character 1- to 3-gram of `^text$`, by position; empty for an empty text.

    CRC-32 and not `hash()`, which differs from process to process.
    """
    text = normalize(text)
    if not text:
        return []
    text = f"^{text}$"
    found = [text[i : i + n] for i in range(len(text)) for n in (1, 2, 3) if i + n <= len(text)]
    return [1 + zlib.crc32(gram.encode()) for gram in found[:MAX_GRAMS]]


def gram_matrix(texts: Sequence[str]) -> np.ndarray:
    """Hashes `[texts, grams]` int64, right-padded with 0."""
    rows = [grams(text) for text in texts]
    matrix = np.zeros((len(rows), max((len(row) for row in rows), default=0)), dtype=np.int64)
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix


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

    def forward(self, gram: Tensor) -> Tensor:
        """Vectors `[texts, dim]` of hashes `[texts, grams]` as `gram_matrix` gives them."""
        real = gram > 0
        bucket = torch.where(real, 1 + (gram - 1) % (self.buckets - 1), 0)
        total = self.gram_embedding(bucket).sum(1)
        count = real.sum(1, keepdim=True)
        return self.linear(total / count.clamp(min=1)) * (count > 0)
