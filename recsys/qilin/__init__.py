"""Qilin (THUIR/Qilin, arXiv 2503.00501): its parquet files → atomic files, and a synthetic Qilin of the same form."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from recsys.qilin.convert import convert
from recsys.qilin.options import Options

if TYPE_CHECKING:
    from recsys.qilin.synthetic.synthesize import synthesize

__all__ = ["Options", "convert", "synthesize"]


def __getattr__(name: str) -> Any:
    """Import the generator, which loads much that a conversion does not need, on first use."""
    if name == "synthesize":
        return import_module("recsys.qilin.synthetic.synthesize").synthesize
    raise AttributeError(f"module 'recsys.qilin' has no attribute {name!r}")
