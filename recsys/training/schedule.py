"""The learning rate over a run: a linear warm-up, then constant, or decaying to zero along a line or half a cosine."""

import math
from typing import Literal

Schedule = Literal["constant", "linear", "cosine"]


def scale(step: int, total: float, warmup: int, schedule: Schedule) -> float:
    """Share of the full learning rate, 0 to 1, that the step numbered `step` of `total` takes, counted from 0.

    The first `warmup` steps climb to the full rate (BERT, arXiv 1810.04805, A.2); "cosine" is that of arXiv 1608.03983
    without restarts.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    match schedule:
        case "linear":
            return 1.0 - done
        case "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * done))
        case _:
            return 1.0
