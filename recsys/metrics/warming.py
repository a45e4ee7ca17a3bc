"""Compiling before it is waited for."""

from recsys.metrics.accuracy import ALL_METRICS, evaluate
from recsys.metrics.intervals import mean_interval


def warm_up() -> None:
    """Have what validation and test need compiled, or loaded if it was compiled on this machine before.

    Costs a second or two once, and a fraction of one in each process. Nothing that is timed should be the first call.
    """
    values = evaluate([[1, 2]], ([0, 1], [2]), [1, 2], ALL_METRICS)
    mean_interval(values["ndcg@2"].repeat(2), [0, 1], rounds=1)
