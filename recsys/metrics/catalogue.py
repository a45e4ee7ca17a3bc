"""What all lists together show of the catalogue: how much of it, how evenly, and how differently from list to list."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from recsys.errors import InputError
from recsys.metrics.compiled import compiled, integers, whole_cutoffs


def catalogue(
    ranked: ArrayLike, items: int, cutoffs: Iterable[int], compat: Literal["recbole"] | None = None
) -> dict[str, float]:
    """Return `{"coverage@10": …, "gini@10": …, "entropy@10": …, "personalisation@10": …}` at every cutoff.

    With n(i) how often item i stands among the first k of all lists, and N the sum of them:

    - coverage: share of the items that are shown at all
    - gini: Gini index of n over the whole catalogue; 0 if every item is shown equally often, near 1 if few are
    - entropy: Shannon entropy of n / N, in nats
    - personalisation: 1 - Σ n(i) (n(i) - 1) / (N (requests - 1)): how likely it is that what one list shows, another
      does not. For lists of one length that is 1 - the mean cosine similarity of two lists.

    Padding (0) shows nothing. An id that a list repeats is shown so often; personalisation supposes that none does.
    Where nothing is shown, all but coverage are nan; so is personalisation of a single list.

    Sources: Ge, Delgado-Battenfeld & Jannach 2010 (coverage); Fleder & Hosanagar 2009 (Gini); RecBole's
    `recbole.evaluator.metrics`, whose entropy is divided by the number of items shown (`compat="recbole"`).

    Args:
        ranked: integer ids in rank order, `[requests, depth]`, 0 is padding.
        items: how many items could be shown; their ids are 1 … items.
        cutoffs: the k of "@k", each at least 1.
        compat: give the values that this library would.

    Raises:
        InputError: for ids outside 0 … items.
    """
    ranked, cutoffs = integers("ranked", ranked, ndim=2), whole_cutoffs(cutoffs)
    check_ids("ranked", ranked, items)
    ascending = np.unique(np.array(cutoffs, dtype=np.int64))
    values = np.zeros((4, len(ascending)))
    # How many items are shown more than n times; numpy's zeros cost nothing where they are not touched.
    more = np.zeros(ranked.size + 1, dtype=np.int64)
    _shown(ranked, items, ascending, np.zeros(items + 1, dtype=np.int32), more, values)
    if compat == "recbole":
        values[2] /= np.maximum(values[0] * items, 1)
    row = {k: i for i, k in enumerate(ascending.tolist())}
    names = ("coverage", "gini", "entropy", "personalisation")
    return {f"{name}@{k}": float(values[i, row[k]]) for i, name in enumerate(names) for k in cutoffs}


def check_ids(name: str, ids: np.ndarray, items: int) -> None:
    """Raise unless all ids are from 0 to `items`."""
    if items < 1:
        raise InputError(f"items must be at least 1, not {items}.")
    if ids.size and (ids.min() < 0 or ids.max() > items):
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise InputError(f"{name} must hold ids from 0 to {items}, not {wrong}.")


@compiled
def _shown(ranked, items, cutoffs, times, more, values):  # type: ignore[no-untyped-def]
    """Fill `values [4, cutoffs]`. Cutoffs ascend: what is counted at one is counted at all that follow."""
    requests, depth = ranked.shape
    begin = total = 0
    for column in range(len(cutoffs)):
        end = min(depth, cutoffs[column])
        for request in range(requests):
            for place in range(begin, end):
                item = ranked[request, place]
                if item > 0:
                    before = times[item]
                    times[item] = before + 1
                    more[before] += 1
                    total += 1
        begin = max(begin, end)
        values[0, column] = more[0] / items
        if total == 0:
            values[1:, column] = np.nan
            continue
        rank, count, spread, entropy, pairs = items - more[0], 0, 0.0, 0.0, 0.0
        while more[count] > 0:
            alike = more[count] - more[count + 1]
            count += 1
            if alike == 0:
                continue
            # They have the ranks rank + 1 … rank + alike: 2 i - items - 1, summed.
            spread += count * alike * (2.0 * rank + alike - items)
            entropy -= alike * (count / total) * np.log(count / total)
            pairs += alike * count * (count - 1.0)
            rank += alike
        values[1, column] = spread / (items * float(total))
        values[2, column] = entropy
        values[3, column] = 1 - pairs / (total * (requests - 1.0)) if requests > 1 else np.nan
