"""Runs read back and compared."""

from recsys.experiments.compare import Row, comparable, compare
from recsys.experiments.folders import find_runs, read_run
from recsys.experiments.runs import Curves, Run, State

__all__ = ["Curves", "Row", "Run", "State", "comparable", "compare", "find_runs", "read_run"]
