"""Fit, validate, test and predict with Lightning."""

from recsys.training.module import SequentialRecommender

__all__ = ["SequentialRecommender"]
