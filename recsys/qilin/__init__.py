"""Qilin (THUIR/Qilin, arXiv 2503.00501): its parquet files → atomic files, and a synthetic Qilin of the same form."""

from recsys.qilin.convert import convert
from recsys.qilin.options import Options
from recsys.qilin.synthetic.synthesize import synthesize

__all__ = ["Options", "convert", "synthesize"]
