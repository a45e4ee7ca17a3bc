"""The formulas, and where other libraries mean something else by the same name. The table is in docs/metrics.md."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from recsys.errors import InputError, did_you_mean

Peer = Literal["recbole", "rectools", "replay", "ranx", "torchmetrics"]


class Hits(NamedTuple):
    """What the formulas need to know: `[cutoffs, requests]`, but `first` and `sizes` are `[requests]`."""

    hits: np.ndarray
    early: np.ndarray  # hits among the first |R| places
    gain: np.ndarray  # DCG
    precisions: np.ndarray  # sum of the precision at each hit
    first: np.ndarray  # place of the first hit, from 1 on; infinite without one
    sizes: np.ndarray  # |R|
    cutoffs: np.ndarray  # [cutoffs, 1]
    ideal: np.ndarray  # DCG of 0, 1, 2, … hits at the top

    @property
    def reachable(self) -> np.ndarray:
        """How many of the first k places can be hits."""
        return np.minimum(self.sizes, self.cutoffs)


class Definition(NamedTuple):
    """Where a library departs from our formulas; the defaults are ours."""

    map_divides_by: Literal["min(|R|, k)", "|R|", "hits"] = "min(|R|, k)"
    ideal_list_holds: Literal["min(|R|, k)", "k"] = "min(|R|, k)"
    r_precision_is: Literal["early hits / |R|", "hits / min(|R|, k)"] = "early hits / |R|"
    nothing_relevant_is_zero: tuple[str, ...] = ()


_RATIOS = ("hit", "recall", "precision", "ndcg", "mrr", "map", "r_precision")
OURS = Definition()
PEERS: Mapping[str, Definition] = {
    "recbole": Definition(nothing_relevant_is_zero=("hit", "precision", "ndcg", "mrr", "map")),
    "rectools": Definition("|R|", "k", "hits / min(|R|, k)"),
    "replay": Definition(nothing_relevant_is_zero=_RATIOS),
    "ranx": Definition("|R|", nothing_relevant_is_zero=_RATIOS),
    "torchmetrics": Definition("hits", nothing_relevant_is_zero=_RATIOS),
}


def definition_of(peer: str | None) -> Definition:
    """Return how `peer` defines the metrics, or how we do."""
    if peer is not None and peer not in PEERS:
        raise InputError(f"compat {peer!r} is no library known here.{did_you_mean(str(peer), PEERS)}")
    return OURS if peer is None else PEERS[peer]


def write(metrics: Iterable[str], of: Hits, definition: Definition, values: np.ndarray) -> None:
    """Write the metrics into `values [metrics, cutoffs, requests]`."""
    empty = np.flatnonzero(of.sizes == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        for metric, out in zip(metrics, values, strict=True):
            _write(metric, of, definition, out)
            if len(empty):
                out[:, empty] = 0.0 if metric in definition.nothing_relevant_is_zero else np.nan


def _write(metric: str, of: Hits, definition: Definition, out: np.ndarray) -> None:
    match metric:
        case "hit":
            np.greater(of.hits, 0, out=out)
        case "recall":
            np.divide(of.hits, of.sizes, out=out)
        case "precision":
            np.divide(of.hits, of.cutoffs, out=out)
        case "ndcg":
            full = of.reachable if definition.ideal_list_holds == "min(|R|, k)" else of.cutoffs
            np.divide(of.gain, of.ideal.take(full.astype(np.int64)), out=out)
        case "mrr":
            np.divide(of.hits > 0, of.first, out=out)
        case "map" if definition.map_divides_by == "hits":
            np.divide(of.precisions, np.maximum(of.hits, 1), out=out)
        case "map":
            np.divide(of.precisions, of.reachable if definition.map_divides_by == "min(|R|, k)" else of.sizes, out=out)
        case "r_precision" if definition.r_precision_is == "hits / min(|R|, k)":
            np.divide(of.hits, of.reachable, out=out)
        case "r_precision":
            np.divide(of.early, of.sizes, out=out)
        case "first_rank":
            np.copyto(out, np.where(of.hits > 0, of.first, np.nan))
