"""Recommend for anyone: a checkpoint folder and lists of item ids, no data set at hand."""

from recsys.recommender.answers import Explanation, Recommendations
from recsys.recommender.files import recommend_file
from recsys.recommender.recommender import Recommender

__all__ = ["Explanation", "Recommendations", "Recommender", "recommend_file"]
