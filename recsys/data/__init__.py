"""Atomic files → histories as flat arrays → batches."""

from recsys.data.cache import cached
from recsys.data.dataset import SPLITS, Dataset, load
from recsys.data.module import SequenceData

__all__ = ["SPLITS", "Dataset", "SequenceData", "cached", "load"]
