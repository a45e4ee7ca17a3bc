"""Spark: one task for each file, then one for each partition of users."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from recsys.errors import InputError
from recsys.qilin.engines import Engine, Work, shuffle
from recsys.qilin.partition import Block


def engine(files: dict[str, list[Path]], bounds: list[int], skip: bool) -> Engine:
    """Works in the running Spark session, or starts one, with what SPARK_HOME and its configuration say.

    Args:
        files: the files of each configuration, under paths that every machine sees.
        bounds: user numbers at which partitions begin, and the end of the last.
        skip: whether bad rows are left out and counted instead of refused.

    Raises:
        InputError: Spark is not installed.
    """
    try:
        from pyspark import StorageLevel
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        raise InputError("--engine spark: PySpark is not installed: pip install 'recsys-zoo[engines]'") from error

    # A worker's default is whatever `python3` is on its path, which need not have us installed.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)

    context = SparkSession.builder.appName("recsys convert").getOrCreate().sparkContext
    tasks, count = shuffle.tasks(files), len(bounds) - 1
    sent = context.parallelize(tasks, len(tasks)).flatMap(lambda task: enumerate(shuffle.parcels(task, bounds, skip)))
    received = sent.groupByKey(count, lambda number: number).persist(StorageLevel.DISK_ONLY)

    def run(work: Work) -> Iterator[Block]:
        blocks = received.mapValues(lambda parcels: shuffle.block(parcels, work)).persist(StorageLevel.DISK_ONLY)
        blocks.count()  # all at once; iterating alone would go through one partition after another
        yield from shuffle.opened(block for _, block in blocks.toLocalIterator())
        blocks.unpersist()

    return run
