"""The verdict in plain words, by rules that are stated beforehand (docs/ablation.md has them as a table)."""

from dataclasses import dataclass
from typing import Literal

from recsys.ablation.controls import CONTROLS
from recsys.ablation.evidence import Evidence
from recsys.metrics import Interval

Word = Literal["proven", "not proven", "a leak suspected"]

VANISHED = 0.25
"""Of the real gain: below it lies the upper end of what must vanish."""
REPEATED, TIMES = 0.05, 5
"""A leak looks like such a share of targets that end their own history, so many times that of the clicks before."""
TELLING = 0.02
"""Distance of an AUC from chance that an order of the file may have."""
SEEDS = 2


@dataclass(frozen=True)
class Verdict:
    """What is concluded, and from what."""

    word: Word
    leaks: list[str]
    doubts: list[str]
    """Why it is not proven."""
    grounds: list[str]
    """What speaks for it."""

    @property
    def sentence(self) -> str:
        """What the word means."""
        match self.word:
            case "a leak suspected":
                return "Until it is explained, no gain here can be believed."
            case "proven":
                return "On this data, what users searched for improves the recommendations."
        return "On this data, it has not been shown that what users searched for improves the recommendations."


def judge(evidence: Evidence) -> Verdict:
    """Apply the rules."""
    found_leaks = leaks(evidence)
    doubts: list[str] = []
    grounds: list[str] = []
    for held, said in _demands(evidence):
        (grounds if held else doubts).append(said)
    word: Word = "a leak suspected" if found_leaks else "not proven" if doubts else "proven"
    return Verdict(word, found_leaks, doubts, grounds)


def leaks(evidence: Evidence) -> list[str]:
    """What only a look at the future, or a label in disguise, would explain."""
    gate, audit, gains, found = evidence.gate, evidence.audit, evidence.gains, []
    if gate.changed:
        found.append(
            f"The future shows: {gate.changed:,} of {gate.requests:,} test requests get another vector when only what "
            "happens at or after their start is changed."
        )
    if gate.training_changed:
        found.append(
            f"The future shows in training: so do {gate.training_changed:,} of {gate.training_points:,} points of it."
        )
    if audit.own_clicks:
        found.append(f"Own clicks: {audit.own_clicks:,} clicks are logged before the request that they answer.")
    if audit.last_is_target > max(REPEATED, TIMES * audit.earlier_is_target):
        found.append(
            f"Own clicks: {audit.last_is_target:.1%} of the test requests ask for the last item of their own history, "
            f"{audit.earlier_is_target:.1%} for each of those before."
        )
    for name, area in audit.orders.items():
        if abs(area.mean - 0.5) > TELLING and not area.low <= 0.5 <= area.high:
            found.append(
                f"The label shows in the {name}: it alone ranks exposed items with an AUC of {area.mean:.3f} "
                f"[{area.low:.3f}, {area.high:.3f}], and 0.5 is chance."
            )
    minute, rise = gains.get("margin 60"), gains["real"].gain
    lost = None if minute is None else minute.to_real
    if lost is not None and rise is not None and rise.low > 0 and -lost.high > rise.mean / 2:
        found.append(
            f"More than half of the gain is owed to searches of the last minute (without them {_shown(lost)}): look at "
            "the clocks."
        )
    return found


def _demands(evidence: Evidence) -> list[tuple[bool, str]]:
    """What must hold of a proof: whether it does, and what was found."""
    gains, real = evidence.gains, evidence.gains["real"]
    assert real.gain is not None
    rise = real.gain
    told = [(rise.low > 0, f"The gain of the real queries is {_shown(rise)} {evidence.metric}, 95 % over users.")]
    together = sum(each > 0 for each in real.by_seed)
    enough = len(real.by_seed) >= SEEDS
    told.append(
        (
            enough and together == len(real.by_seed),
            f"{together} of {len(real.by_seed)} seeds gain" + ("." if enough else f"; at least {SEEDS} are needed."),
        )
    )
    gate = evidence.gate
    told.append(
        (gate.read > 0, f"Of {gate.searched:,} vectors of users with searches, {gate.read:,} depend on their words.")
    )
    told.append(
        (
            evidence.best_untrained.low > 0,
            f"Above the best ranker without training by {_shown(evidence.best_untrained)}.",
        )
    )
    for name, said in (("permuted", "Retrained on others' queries"), ("blank at test", "Without searches at test")):
        gain = gains[name].gain if name in gains else None
        limit = f"its upper end must lie below a quarter of the real gain, {VANISHED * rise.mean:.4f}"
        held = gain is not None and gain.high < VANISHED * rise.mean
        told.append((held, _not_run(name) if gain is None else f"{said}, the gain is {_shown(gain)}; {limit}."))
    others = (("permuted at test", "Others' queries at test"), ("constant", "Queries that all have one text"))
    for name, said in others:
        lost = gains[name].to_real if name in gains else None
        changed = "" if lost is None else f"{said} change the metric by {_shown(lost)}, which must be below 0."
        told.append((lost is not None and lost.high < 0, changed or _not_run(name)))
    quiet = evidence.parts.get("no search")
    if quiet is not None:
        told.append(
            (
                not (quiet.gain.low > 0 and quiet.p < 0.05 and quiet.gain.mean > VANISHED * rise.mean),
                f"Who has not searched gains {_shown(quiet.gain)}; that cannot come from searches.",
            )
        )
    return told


def _not_run(name: str) -> str:
    return f"The control “{CONTROLS[name].says}” was not run."


def _shown(interval: Interval) -> str:
    return f"{interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
