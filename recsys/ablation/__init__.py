"""Whether searches help, proven or refuted: controls on the same data, checks for leaks, a verdict by stated rules."""

from recsys.ablation.controls import CONTROLS, Control
from recsys.ablation.evidence import Evidence, collect
from recsys.ablation.gate import Invariance, invariance
from recsys.ablation.page import write
from recsys.ablation.runner import Plan, carry_out, plan
from recsys.ablation.verdict import Verdict, judge

__all__ = [
    "CONTROLS",
    "Control",
    "Evidence",
    "Invariance",
    "Plan",
    "Verdict",
    "carry_out",
    "collect",
    "invariance",
    "judge",
    "plan",
    "write",
]
