"""The rules of the verdict: each thing that is demanded, taken away from a proof, and each sign of a leak, added."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from recsys.ablation import Evidence, judge
from recsys.ablation.evidence import Part
from recsys.metrics import Interval

UP, BIG_LOSS = Interval(0.04, 0.03, 0.05), Interval(-0.03, -0.035, -0.025)
UNSURE = Interval(0.004, -0.001, 0.011)


def of(evidence: Evidence, name: str, **changes: object) -> Evidence:
    """With another finding for one control."""
    return replace(evidence, gains=evidence.gains | {name: replace(evidence.gains[name], **changes)})


def without(evidence: Evidence, name: str) -> Evidence:
    return replace(evidence, gains={key: gain for key, gain in evidence.gains.items() if key != name})


def test_a_clear_gain_that_vanishes_where_it_must_is_proven(proof: Evidence) -> None:
    verdict = judge(proof)
    assert (verdict.word, verdict.leaks, verdict.doubts) == ("proven", [], [])
    assert verdict.sentence.startswith("On this data, what users searched for improves")
    assert any("+0.0400 [+0.0300, +0.0500]" in said for said in verdict.grounds)


DOUBTS: dict[str, tuple[Callable[[Evidence], Evidence], str]] = {
    "the interval holds 0": (lambda e: of(e, "real", gain=Interval(0.04, -0.01, 0.09)), "The gain of the real queries"),
    "one seed loses": (lambda e: of(e, "real", by_seed=[0.05, -0.001]), "1 of 2 seeds gain."),
    "one seed": (lambda e: of(e, "real", by_seed=[0.05]), "at least 2 are needed"),
    "others' queries gain too": (lambda e: of(e, "permuted", gain=UNSURE), "Retrained on others' queries"),
    "it gains without searches": (lambda e: of(e, "blank at test", gain=UP), "Without searches at test"),
    "others' queries do no harm": (lambda e: of(e, "permuted at test", to_real=UNSURE), "Others' queries at test"),
    "one text does as well": (lambda e: of(e, "constant", to_real=UNSURE), "Queries that all have one text"),
    "a control was not run": (lambda e: without(e, "permuted"), "was not run"),
    "popularity does as well": (lambda e: replace(e, best_untrained=UNSURE), "Above the best ranker"),
    "nothing is read": (lambda e: replace(e, gate=replace(e.gate, read=0)), "0 depend on their words"),
    "who has not searched gains": (
        lambda e: replace(e, parts=e.parts | {"no search": Part(100, 90, 0.2, UP, 0.001)}),
        "Who has not searched",
    ),
}


@pytest.mark.parametrize("case", DOUBTS)
def test_what_is_missing_to_a_proof_is_said(proof: Evidence, case: str) -> None:
    change, said = DOUBTS[case]
    verdict = judge(change(proof))
    assert verdict.word == "not proven"
    (doubt,) = verdict.doubts
    assert said in doubt


LEAKS: dict[str, tuple[Callable[[Evidence], Evidence], str]] = {
    "one vector that the future changes": (
        lambda e: replace(e, gate=replace(e.gate, changed=1)),
        "1 of 500 test requests",
    ),
    "in training": (lambda e: replace(e, gate=replace(e.gate, training_changed=2)), "2 of 500 points"),
    "own clicks": (lambda e: replace(e, audit=replace(e.audit, own_clicks=3)), "3 clicks are logged before"),
    "the last click is the target": (
        lambda e: replace(e, audit=replace(e.audit, last_is_target=0.34)),
        "34.0% of the test requests",
    ),
    "an order that tells": (
        lambda e: replace(e, audit=replace(e.audit, orders={"order of the list": Interval(0.4, 0.38, 0.42)})),
        "The label shows in the order of the list",
    ),
    "all within a minute": (lambda e: of(e, "margin 60", to_real=BIG_LOSS), "look at the clocks"),
}


@pytest.mark.parametrize("case", LEAKS)
def test_a_leak_outweighs_every_gain(proof: Evidence, case: str) -> None:
    change, said = LEAKS[case]
    verdict = judge(change(proof))
    assert verdict.word == "a leak suspected"
    (leak,) = verdict.leaks
    assert said in leak


def test_what_is_no_leak(proof: Evidence) -> None:
    """Chance off by a hair, repeats as frequent further back, a loss within a minute where nothing is gained."""
    hair = replace(proof.audit, orders={"order of the list": Interval(0.51, 0.505, 0.515)})
    repeats = replace(proof.audit, last_is_target=0.3, earlier_is_target=0.1)
    assert judge(replace(proof, audit=hair)).word == "proven"
    assert judge(replace(proof, audit=repeats)).word == "proven"
    assert not judge(of(of(proof, "margin 60", to_real=BIG_LOSS), "real", gain=UNSURE)).leaks
