"""A network in which no shape depends on a value: what a graph cannot say, lists of any length in each row, is padding.

Each replacement gives what it stands for, in operations that every runtime has.
"""

from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recsys import atomic
from recsys.models import BERT4Rec, Model, RecBole
from recsys.models.batch import Batch, point_rows
from recsys.models.searches import Searches, SearchReader
from recsys.models.target_attention import TargetAttention
from recsys.models.text import TextEncoder


def traceable(network: Model) -> Model:
    """A copy to trace, on the CPU, in which items' content is part of their vectors.

    Its batches hold their queries as `search_gram` `[users, queries, grams]`, and nothing else about searches.
    """
    network = deepcopy(network).cpu().eval()
    described = network.described
    if described is not None:
        with torch.no_grad():
            rows = described.vectors()
            if isinstance(network, BERT4Rec):
                network.output_bias.mul_(described.has_id[: network.n_items])
        if isinstance(network, SearchReader) and network.query_text is None:
            network.query_text = described.text
        network.item_embedding = nn.Embedding.from_pretrained(rows.clone())
    if isinstance(network, SearchReader):
        network.searches = partial(_searches, network)  # type: ignore[method-assign]
    if isinstance(network, BERT4Rec):
        network._asked = partial(_asked, network)  # type: ignore[method-assign]
    if isinstance(network, RecBole):
        network._whole_rows = network.inner.full_sort_predict  # type: ignore[method-assign]
        if network.model in _OF_SESSIONS:
            network.inner._get_slice = partial(_session, network.model)
    return network.requires_grad_(False)


def _asked(network: BERT4Rec, batch: Batch) -> tuple[Tensor, Tensor]:
    """`BERT4Rec._asked` of histories that leave room for the mask."""
    item, count = point_rows(batch)
    return F.pad(item, (0, 1)).scatter(1, count[:, None], network.mask_token), count + 1


def _searches(network: SearchReader, batch: Batch) -> Searches:
    """`SearchReader.searches` of queries that come laid out, `[users, queries, grams]`, each behind all items."""
    gram = batch.search_gram
    if isinstance(network, TargetAttention):  # which reads the latest: as many as it can, where there are fewer
        gram = F.pad(gram, (0, 0, 0, network.max_searches))
    real = (gram > 0).any(-1)
    token = network.query_norm(_bags(network.text, gram) + network.query_type.weight[atomic.TYPED]) * real[..., None]
    position = torch.where(real, batch.point_position[:, None], batch.item.shape[1])
    age = torch.zeros_like(batch.item)[:, :, None] * position[:, None, :]
    return Searches(token, position, age)


def _bags(text: TextEncoder, gram: Tensor) -> Tensor:
    """`TextEncoder.forward` of hashes of any shape `[…, grams]`."""
    bucket = text.buckets_of(gram)
    real = (bucket > 0)[..., None]
    mean = (F.embedding(bucket, text.gram_embedding.weight) * real).sum(-2) / real.sum(-2).clamp(min=1)
    vectors: Tensor = text.linear(mean) * real.any(-2)
    return vectors


_OF_SESSIONS = ("GCSAN", "SRGNN")
"""RecBole's models of the graph of a session, which they draw on the CPU, item by item."""


def _session(model: str, item: Tensor) -> tuple[Tensor, ...]:
    """RecBole's `_get_slice`: the nodes and edges of sessions `[rows, length]`, right-padded.

    A node is here the first place that its item has in the session, and not the item's rank among its items.
    """
    length = item.shape[1]
    place = torch.arange(length)
    node = torch.where(item[:, :, None] == item[:, None, :], place, length).amin(2)
    at = F.one_hot(node, length).float()
    step = at[:, :-1] * (item[:, 1:] > 0)[..., None]
    edge = (step.transpose(1, 2) @ at[:, 1:]).clamp(max=1)
    incoming = (edge / edge.sum(1, keepdim=True).clamp(min=1)).transpose(1, 2)
    outgoing = edge / edge.sum(2, keepdim=True).clamp(min=1)
    graph = node, torch.cat([incoming, outgoing], 2), torch.where(node == place, item, 0)
    return (*graph, item > 0) if model == "SRGNN" else graph
