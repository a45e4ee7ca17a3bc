"""Training losses, each called with vectors `[targets, dim]`, item table `[items, dim]`, target items `[targets]`."""

from recsys.losses.base import Loss
from recsys.losses.bce import BCE
from recsys.losses.full_softmax import FullSoftmax
from recsys.losses.gbce import GBCE
from recsys.losses.in_batch_softmax import InBatchSoftmax
from recsys.losses.sampled_softmax import SampledSoftmax
from recsys.losses.softmax import Softmax

__all__ = ["BCE", "GBCE", "FullSoftmax", "InBatchSoftmax", "Loss", "SampledSoftmax", "Softmax"]
