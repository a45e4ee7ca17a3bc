"""How well scores tell the relevant candidates of a request from the others: the area under the ROC curve."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from recsys.errors import InputError
from recsys.metrics.compiled import check_offsets, compiled, floats, in_blocks, integers


def auc(scores: ArrayLike, offsets: ArrayLike, relevant: ArrayLike, threads: int = 1) -> np.ndarray:
    """Return the AUC of each request, `[requests]` float64: how likely a relevant candidate outscores another.

    Equal scores count half, which is the expected value over their random orders (and scikit-learn's `roc_auc_score`).
    Where all candidates are relevant, or none is, there is no value: nan.

    The AUC of all candidates together is that of one request: `auc(scores, [0, len(scores)], relevant)`.

    Args:
        scores: `[n]`, higher is better.
        offsets: `[requests + 1]`; `scores[offsets[i]:offsets[i + 1]]` are those of request i.
        relevant: `[n]`, true or 1 for each candidate that is.
        threads: requests are spread over so many; the values do not depend on it.

    Raises:
        InputError: for scores that are not a number.
    """
    scores, offsets = floats("scores", scores), integers("offsets", offsets)
    wanted = np.asarray(relevant)
    if wanted.shape != scores.shape or not np.isin(wanted, (0, 1)).all():
        raise InputError(f"relevant must hold true or false for each of the {len(scores)} scores.")
    check_offsets("offsets", offsets, len(offsets) - 1, len(scores))
    unknown = np.flatnonzero(np.isnan(scores))
    if len(unknown):
        raise InputError(f"scores must be numbers; that of candidate {unknown[0]} is not.")
    wanted = np.require(wanted, np.bool_, ["C", "A", "W"])
    values = np.empty(len(offsets) - 1)
    in_blocks(lambda start, stop: _areas(start, stop, scores, offsets, wanted, values), len(values), threads)
    return values


def gauc(
    scores: ArrayLike,
    offsets: ArrayLike,
    relevant: ArrayLike,
    weights: Literal["relevant", "candidates"] = "relevant",
    threads: int = 1,
) -> float:
    """Return the mean AUC of the requests that have one, weighted by their number of relevant items (or candidates).

    Zhu et al. 2017 weight by candidates shown (or clicks); RecBole's GAUC by relevant items. Without any value: nan.
    """
    if weights not in ("relevant", "candidates"):
        raise InputError(f"weights must be relevant or candidates, not {weights!r}.")
    values, offsets = auc(scores, offsets, relevant, threads), integers("offsets", offsets)
    before = np.concatenate(([0], np.cumsum(np.asarray(relevant, dtype=np.int64))))
    weight = np.diff(before[offsets] if weights == "relevant" else offsets)
    known = ~np.isnan(values)
    return float(np.average(values[known], weights=weight[known])) if known.any() else float("nan")


@compiled
def _areas(begin, end, scores, offsets, relevant, values):  # type: ignore[no-untyped-def]
    """Fill `values [requests]`: Mann-Whitney's U, counted from the worst score to the best."""
    for request in range(begin, end):
        start, stop = offsets[request], offsets[request + 1]
        order = np.argsort(scores[start:stop])
        outscored = below = wanted = i = 0
        while i < len(order):
            others = mine = 0
            score = scores[start + order[i]]
            while i < len(order) and scores[start + order[i]] == score:
                if relevant[start + order[i]]:
                    mine += 1
                else:
                    others += 1
                i += 1
            outscored += mine * (2 * below + others)
            below += others
            wanted += mine
        values[request] = outscored / (2.0 * wanted * below) if wanted > 0 and below > 0 else np.nan
