"""Training losses, each called with vectors `[targets, dim]`, item table `[items, dim]`, target items `[targets]`."""

from recsys.losses.full_softmax import FullSoftmax

__all__ = ["FullSoftmax"]
