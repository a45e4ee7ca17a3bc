"""What a score is made of."""

from collections.abc import Callable

import torch
from torch import Tensor

from recsys.models import Model
from recsys.models.batch import Batch
from recsys.recommender.answers import Explanation


@torch.inference_mode()
def explained(
    network: Model, table: Tensor | None, batch: Callable[[list[str]], Batch], queries: list[str], ids: Tensor
) -> list[Explanation]:
    """Take one user's scores of the items `ids` apart: by leaving queries out, and by what vectors are the sum of.

    `batch(visible)` is the user with those queries alone; `table` the item vectors, None where there are none.
    """

    def vector(visible: list[str]) -> Tensor:
        return network.encode(batch(visible))[0]

    def scores(visible: list[str]) -> Tensor:
        return vector(visible)[ids] if table is None else table[ids] @ vector(visible)

    whole, history = scores(queries), scores([])
    others = [scores(queries[:i] + queries[i + 1 :]) for i in range(len(queries))]
    parts = {name: part @ vector(queries) for name, part in network.item_parts(ids).items()}
    return [
        Explanation(
            history=float(history[i]),
            searches=float(whole[i] - history[i]),
            queries=[(query, float(whole[i] - other[i])) for query, other in zip(queries, others, strict=True)],
            id=float(parts["id"][i]) if "id" in parts else None,
            content=float(parts["content"][i]) if "content" in parts else None,
        )
        for i in range(len(ids))
    ]
