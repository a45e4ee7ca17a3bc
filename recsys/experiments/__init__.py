"""Runs read back and compared."""

from recsys.experiments.compare import Row, comparable, compare
from recsys.experiments.comparison import Comparison, Group, comparison
from recsys.experiments.folders import find_runs, read_checkpoint, read_run
from recsys.experiments.report import report
from recsys.experiments.runs import Curves, Run, State
from recsys.experiments.server import read_project, read_runs

__all__ = [
    "Comparison",
    "Curves",
    "Group",
    "Row",
    "Run",
    "State",
    "comparable",
    "compare",
    "comparison",
    "find_runs",
    "read_checkpoint",
    "read_project",
    "read_run",
    "read_runs",
    "report",
]
