"""The networks: each turns histories into vectors, and items into vectors; a score is their dot product."""

from recsys.models.base import Model
from recsys.models.batch import Batch
from recsys.models.bert4rec import BERT4Rec
from recsys.models.causal_transformer import CausalTransformer
from recsys.models.esasrec import eSASRec
from recsys.models.hstu import HSTU
from recsys.models.recbole import RecBole
from recsys.models.sasrec import SASRec
from recsys.models.search_bert4rec import SearchBERT4Rec
from recsys.models.search_sasrec import SearchSASRec
from recsys.models.sesrec import SESRec
from recsys.models.unisar import UniSAR

__all__ = [
    "HSTU",
    "BERT4Rec",
    "Batch",
    "CausalTransformer",
    "Model",
    "RecBole",
    "SASRec",
    "SESRec",
    "SearchBERT4Rec",
    "SearchSASRec",
    "UniSAR",
    "eSASRec",
]
