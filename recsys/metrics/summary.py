"""One number a metric."""

from collections.abc import Mapping

import numpy as np

from recsys.metrics.frames import REQUESTS


def mean_metrics(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Mean over the requests that have a value, for each metric `[requests]`; nan where none has.

    The column of requests that `evaluate` puts before the metrics of frames is left out.
    """
    return {name: _mean(column[~np.isnan(column)]) for name, column in values.items() if name not in REQUESTS}


def _mean(kept: np.ndarray) -> float:
    return float(kept.mean()) if kept.size else float("nan")
