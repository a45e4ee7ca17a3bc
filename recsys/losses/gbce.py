"""Generalised binary cross-entropy, which takes back the overconfidence that sampled negatives bring."""

from recsys.errors import InputError
from recsys.losses.bce import BCE


class GBCE(BCE):
    """`BCE` with σ^β(v·e_target) as the target's probability (gSASRec: Petrov and Macdonald, RecSys 2023).

    β = α (t (1 − 1/α) + 1/α) = 1 − t (1 − α), where α = negatives / (items − 1) is the sampling rate.

    Args:
        negatives: Items drawn per target.
        calibration: The paper's t: with 1, σ of a score tends to the probability of a click; 0 is `BCE`.
    """

    def __init__(self, negatives: int = 256, calibration: float = 0.75) -> None:
        super().__init__(negatives)
        if not 0 <= calibration <= 1:
            raise InputError(f"GBCE: calibration {calibration}: must lie between 0 and 1.")
        self.calibration = calibration

    def exponent(self, n_items: int) -> float:
        """β of a table with `n_items` rows, padding's among them."""
        return 1 - self.calibration * (1 - self.negatives / (n_items - 2))
