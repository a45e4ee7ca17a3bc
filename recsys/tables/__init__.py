"""Anybody's own clicks and searches, from files or frames, as a data set of atomic files."""

from recsys.tables.convert import convert
from recsys.tables.options import Options

__all__ = ["Options", "convert"]
