"""A small model of every kind."""

import numpy as np
import torch

from recsys.models import HSTU, BERT4Rec, RecBole, SASRec, SearchBERT4Rec, SearchSASRec, SESRec, UniSAR, eSASRec
from recsys.models.recbole_zoo import FEATURED, defaults

TOKENS = ["n1", "n2", "n3", "猫", "5", "n6", "n7"]
SIZE = {"n_items": 8, "max_len": 4, "dim": 8, "layers": 2, "heads": 2}
MORE = {
    SASRec: {"inner_dim": 8},
    BERT4Rec: {"inner_dim": 8},
    SearchSASRec: {"inner_dim": 8, "buckets": 97},
    SearchBERT4Rec: {"inner_dim": 8, "buckets": 97},
    SESRec: {"inner_dim": 8, "buckets": 97},
    UniSAR: {"inner_dim": 8, "buckets": 97},
    HSTU: {},
    eSASRec: {"inner_dim": 8, "time_bias": True},
}
RECBOLE = {
    "embedding_size": 8,
    "hidden_size": 8,
    "inner_size": 8,
    "n_layers": 1,
    "n_heads": 2,
    "prototype_size": 6,
    "reranker_CAN_NUM": 3,
    "block_num": 1,
    "selected_features": ["class", "year"],
}
FEATURES = {
    "class": np.array([[0, 0], [1, 0], [2, 1], [0, 0], [3, 2], [1, 2], [3, 0], [2, 0]], np.int32),
    "year": np.array([0, 1, 0, 2, 1, 3, 3, 2], np.int32),
}


def network_of(kind, **more):
    """A model whose weights are all noise, those that start at zero too."""
    torch.manual_seed(1)
    return noisy(kind(**SIZE | MORE[kind] | more))


def recbole_of(model):
    """A model of RecBole's, of noise as well."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 SINE draws from it
    settings = {name: value for name, value in RECBOLE.items() if name in defaults(model)}
    features = FEATURES if model in FEATURED else None
    return noisy(RecBole(model, SIZE["n_items"], SIZE["max_len"], n_users=3, settings=settings, features=features))


def noisy(network):
    """The network to be asked, with noise upon all weights."""
    network.eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return network
