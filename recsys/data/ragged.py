"""Ragged lists as two flat arrays, and the vectorised moves on them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ragged:
    """`len(offsets) - 1` lists: list i is `values[offsets[i]:offsets[i + 1]]`."""

    offsets: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        """Number of lists."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """`[lists]`"""
        return self.offsets[1:] - self.offsets[:-1]

    @property
    def group(self) -> np.ndarray:
        """`[values]` the list that each value is in."""
        return np.arange(len(self)).repeat(self.lengths)

    def __getitem__(self, i: int) -> np.ndarray:
        """The values of list i."""
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def known(self) -> "Ragged":
        """The same lists without 0, what is in no vocabulary."""
        known = self.values > 0
        return Ragged(grouped_offsets(self.group[known], len(self)), self.values[known])

    def padded(self) -> np.ndarray:
        """`[lists, longest]` with 0 behind the last value of each."""
        lengths = self.lengths
        matrix = np.zeros((len(self), int(lengths.max(initial=0))), self.values.dtype)
        place, _ = ranges(np.zeros_like(lengths), lengths)
        matrix[self.group, place] = self.values
        return matrix

    def take(self, rows: np.ndarray) -> "Ragged":
        """The lists `rows`, in that order."""
        index, lengths = ranges(self.offsets[rows], self.offsets[rows + 1])
        return Ragged(offsets_of(lengths), self.values.take(index))


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """`[lists + 1]` int64 offsets of lists with these lengths."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    lengths.cumsum(out=offsets[1:])
    return offsets


def ranges(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The integers of every range start..end − 1, one after the other, and the lengths of the ranges."""
    lengths = ends - starts
    index = (ends - lengths.cumsum()).repeat(lengths)
    index += np.arange(len(index))
    return index, lengths


def grouped_offsets(group: np.ndarray, n_groups: int) -> np.ndarray:
    """`[n_groups + 1]` offsets of rows sorted by their group number."""
    return offsets_of(np.bincount(group, minlength=n_groups))
