"""Ranking metrics: arrays in, one value a request out; means and confidence intervals are taken from those.

Compiled with numba, free of torch. The kernels are serial and release the GIL: they are safe in threads and after a
fork whatever numba's threading layer, and as fast as a parallel kernel on one core. To use more cores, evaluate blocks
of requests in a `concurrent.futures.ThreadPoolExecutor`.
"""

from recsys.metrics.accuracy import METRICS, evaluate
from recsys.metrics.intervals import Average, Interval, mean_interval, mean_intervals, paired_interval
from recsys.metrics.significance import holm, randomisation_test, wilcoxon_test
from recsys.metrics.summary import mean_metrics

__all__ = [
    "METRICS",
    "Average",
    "Interval",
    "evaluate",
    "holm",
    "mean_interval",
    "mean_intervals",
    "mean_metrics",
    "paired_interval",
    "randomisation_test",
    "wilcoxon_test",
]
