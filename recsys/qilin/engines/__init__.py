"""Where the work on user partitions runs: in this process, or on an engine that spans machines."""

from collections.abc import Callable, Iterator

import polars as pl

from recsys.qilin.partition import Block

Work = Callable[[pl.DataFrame], Block]
"""From the rows of some users, in `timeline.ROWS` form, to their block."""
Engine = Callable[[Work], Iterator[Block]]
"""Does the work on every partition and yields the blocks in the order of the partitions, which is that of the users.

Every file is read once, by whoever makes the engine or at its first work, however often it works.
"""
