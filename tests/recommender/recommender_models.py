"""A small model of every kind."""

import torch

from recsys.models import HSTU, BERT4Rec, SASRec, SearchBERT4Rec, SearchSASRec, SESRec, UniSAR, eSASRec

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


def network_of(kind, **more):
    """A model whose weights are all noise, those that start at zero too."""
    torch.manual_seed(1)
    network = kind(**SIZE | MORE[kind] | more).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return network
