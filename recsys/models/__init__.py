"""The networks: each turns histories into vectors, and items into vectors; a score is their dot product."""

from recsys.models.base import Model
from recsys.models.batch import Batch
from recsys.models.bert4rec import BERT4Rec
from recsys.models.recbole import RecBole
from recsys.models.sasrec import SASRec
from recsys.models.search_sasrec import SearchSASRec

__all__ = ["BERT4Rec", "Batch", "Model", "RecBole", "SASRec", "SearchSASRec"]
