"""Where the work on user partitions runs: in this process, or on an engine that spans machines."""

from collections.abc import Callable, Iterator

import polars as pl

from recsys.qilin.partition import Block
from recsys.qilin.problems import Problems

Work = Callable[[pl.DataFrame], Block]
"""From the rows of some users, in `timeline.ROWS` form, to their block."""
Engine = Callable[[Work, Problems], Iterator[Block]]
"""Does the work on every partition and yields the blocks in the order of the partitions, which is that of the users.

What is wrong with rows that are read is told to the `Problems`."""
