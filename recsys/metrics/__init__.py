"""Ranking metrics: arrays or frames in, one value a request out; means and confidence intervals are taken from those.

Compiled with numba, free of torch. The kernels are serial and release the GIL: they are safe in threads and after a
fork whatever numba's threading layer, and as fast as a parallel kernel on one core. `threads` spreads the requests
over more cores; no value depends on it. `warm_up` has everything compiled, once for a machine.
"""

from recsys.metrics.accuracy import ALL_METRICS, METRICS, evaluate
from recsys.metrics.auc import auc, gauc
from recsys.metrics.catalogue import catalogue
from recsys.metrics.diversity import intra_list_distance, miscalibration
from recsys.metrics.intervals import Average, Interval, mean_interval, mean_intervals, paired_interval
from recsys.metrics.popularity import popularity
from recsys.metrics.significance import holm, randomisation_test, wilcoxon_test
from recsys.metrics.summary import mean_metrics
from recsys.metrics.warming import warm_up

__all__ = [
    "ALL_METRICS",
    "METRICS",
    "Average",
    "Interval",
    "auc",
    "catalogue",
    "evaluate",
    "gauc",
    "holm",
    "intra_list_distance",
    "mean_interval",
    "mean_intervals",
    "mean_metrics",
    "miscalibration",
    "paired_interval",
    "popularity",
    "randomisation_test",
    "warm_up",
    "wilcoxon_test",
]
