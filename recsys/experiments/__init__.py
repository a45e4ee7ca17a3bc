"""Runs read back and compared."""

from recsys.experiments.compare import Row, comparable, compare
from recsys.experiments.runs import Run, find_runs

__all__ = ["Row", "Run", "comparable", "compare", "find_runs"]
