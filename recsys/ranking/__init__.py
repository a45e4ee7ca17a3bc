"""From vectors to ranked items: the best of a whole catalogue, or a given list of candidates put in order."""

from recsys.ranking.candidates import pad_ranked, rank_candidates, rank_scores
from recsys.ranking.catalogue import top_k
from recsys.ranking.heaps import warm_up
from recsys.ranking.unscored import random_k, shared_k

__all__ = ["pad_ranked", "random_k", "rank_candidates", "rank_scores", "shared_k", "top_k", "warm_up"]
