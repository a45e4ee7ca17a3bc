"""Ray: one task for each file, then one for each partition of users."""

from collections.abc import Iterator
from pathlib import Path

from recsys.errors import InputError
from recsys.qilin.engines import Engine, Work, shuffle
from recsys.qilin.partition import Block


def engine(files: dict[str, list[Path]], bounds: list[int], skip: bool) -> Engine:
    """Works on the cluster that RAY_ADDRESS names, or on one that it starts on this machine.

    Args:
        files: the files of each configuration, under paths that every machine sees.
        bounds: user numbers at which partitions begin, and the end of the last.
        skip: whether bad rows are left out and counted instead of refused.

    Raises:
        InputError: Ray is not installed.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise InputError("--engine ray: Ray is not installed: pip install 'recsys-zoo[engines]'") from error

    ray.init(ignore_reinit_error=True, log_to_driver=False)
    count = len(bounds) - 1
    read = ray.remote(num_returns=count)(shuffle.parcels)
    sent = [read.remote(task, bounds, skip) for task in shuffle.tasks(files)]
    of_file = [parts if count > 1 else [parts] for parts in sent]

    def run(work: Work) -> Iterator[Block]:
        finish = ray.remote(lambda *received: shuffle.block(received, work))
        waiting = [finish.remote(*(parts[number] for parts in of_file)) for number in range(count)]
        return shuffle.opened(ray.get(block) for block in waiting)

    return run
