"""Runs read back and compared."""

from recsys.experiments.compare import Row, compare
from recsys.experiments.runs import Run, find_runs

__all__ = ["Row", "Run", "compare", "find_runs"]
