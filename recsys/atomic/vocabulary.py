"""External ids ↔ contiguous integers; 0 is padding."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

PADDING = "[PAD]"


@dataclass(frozen=True)
class Vocabulary:
    """The ids in the order of their integers: `tokens[0]` is integer 1, integer 0 stands for padding and unknown."""

    tokens: Sequence[str] = field(repr=False)

    @classmethod
    def of(cls, tokens: pl.Series) -> "Vocabulary":
        """Distinct non-empty tokens in the order of their CRC-32.

        Qilin's note numbers were assigned by role and its lists are ordered by clicks: an order that depends on
        nothing but the spelling of each id carries neither into the model, and is the same on every machine.
        """
        distinct = tokens.filter(tokens != "").unique().to_list()
        return cls(sorted(distinct, key=lambda token: (zlib.crc32(token.encode()), token)))

    def __len__(self) -> int:
        """Number of integers in use, padding included: the rows of an embedding table."""
        return len(self.tokens) + 1

    @cached_property
    def _series(self) -> pl.Series:
        return pl.Series(self.tokens, dtype=pl.String)

    @cached_property
    def _index(self) -> pl.DataFrame:
        return pl.DataFrame({"token": self._series, "index": np.arange(1, len(self), dtype=np.int64)})

    def encode(self, tokens: pl.Series | Sequence[str]) -> np.ndarray:
        """Integers `[n]` int64 of external ids; 0 where the id is unknown."""
        frame = pl.DataFrame({"token": pl.Series(tokens, dtype=pl.String)})
        joined = frame.join(self._index, on="token", how="left", maintain_order="left")
        return joined["index"].fill_null(0).to_numpy()

    def decode(self, integers: np.ndarray) -> list[str]:
        """External ids of integers; padding becomes "[PAD]"."""
        return [PADDING if i == 0 else self.tokens[int(i) - 1] for i in integers]

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of the ids and their order."""
        return hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()
