"""A short way from searches to scores, for data in which each item is clicked too seldom to learn a long one.

A frozen backbone reads a query through weights that were made for items. Here a query is put into the space in which
items are scored, by what was clicked among its results, and is added to the state beside the backbone: an item's score
gains what it and the query have in common.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys.models.batch import Batch
from recsys.models.searches import Recency, Searches
from recsys.models.target_attention import agreement

_DRAWN = 1024  # items that each query is told from, as in SESRec
_TEMPERATURE = 0.2  # learnt, it sinks until a query names the very notes clicked for it, which is knowing them by heart


class Direct(nn.Module):
    """What the searches that a position sees add to its state: their mean by age, times a number that starts at zero.

    "Nothing" is a further choice of the mean. Gradients end at the searches: what each says is learnt from the clicks
    on its results (`query_agreement`), what that is worth from the clicks that followed. So there is next to nothing
    here to learn those by heart with.
    """

    def __init__(self) -> None:
        super().__init__()
        self.recency = Recency()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, searches: Searches) -> Tensor:
        """`[rows, length, dim]`, 0 where no search is seen."""
        mean: Tensor = self.recency(searches, searches.seen)[:, 0] @ searches.token.detach()
        return self.scale * mean


def query_agreement(token: Tensor, batch: Batch, items: nn.Module, n_items: int) -> Tensor:
    """InfoNCE of queries `[searches, dim]` and items clicked among their results, by the cosine (SESRec, section 4.3).

    Items stay what they are: queries learn their language, and not they that of queries. 0 where no click is known.

    Args:
        token: the batch's searches as vectors.
        batch: names the clicks on their results.
        items: gives the vectors of item numbers.
        n_items: size of the vocabulary, padding included.
    """
    search, item = batch.search_click, batch.search_click_item
    if search is None or item is None:
        return token.new_zeros(())
    drawn = torch.randint(1, n_items, (_DRAWN,), device=token.device)
    vectors = F.normalize(items(torch.cat([item, drawn])).detach(), dim=-1)
    clicks, others = vectors.split([len(item), len(drawn)])
    temperature = token.new_tensor(_TEMPERATURE)
    return agreement(F.normalize(token, dim=-1), search, item, clicks, drawn, others, temperature)
