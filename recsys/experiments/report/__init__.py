"""Runs as one page to read, keep and print: nothing on it comes from elsewhere."""

from recsys.experiments.report.document import report

__all__ = ["report"]
