"""From finished runs to evidence: gains with intervals over users, slices, rankers without training, gate and audit."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys import checkpoints
from recsys.ablation.audit import Audit, audit
from recsys.ablation.controls import CONTROLS
from recsys.ablation.gate import Invariance, invariance
from recsys.ablation.runner import Plan
from recsys.ablation.slices import slices
from recsys.ablation.titles import Titles, text_match, titles
from recsys.data import SequenceData
from recsys.errors import InputError, did_you_mean
from recsys.experiments import Run, read_run
from recsys.metrics import Average, Interval, holm, mean_interval, paired_interval, randomisation_test
from recsys.metrics.intervals import mean_of
from recsys.training.protocols import Questions
from recsys.training.runs import trained

ROUNDS = 10_000
UNTRAINED = ("random", "popular", "recent", "position")
TEXT = "text match"


@dataclass(frozen=True)
class Gain:
    """One control: its metric averaged over the seeds, and the difference to what it is counted from."""

    value: Interval
    gain: Interval | None
    by_seed: list[float]
    """The gain of each seed, or the value where there is no gain."""
    to_real: Interval | None
    """The difference to the real queries, for controls of the model with searches."""


@dataclass(frozen=True)
class Part:
    """One declared slice: the gain of the real queries there."""

    requests: int
    users: int
    baseline: float
    gain: Interval
    p: float
    """Of a randomisation test over users, corrected by Holm's method for the number of slices."""


@dataclass(frozen=True)
class Evidence:
    """All that the verdict is made of."""

    metric: str
    model: str
    data: str
    synthetic: bool
    seeds: list[int]
    requests: int
    users: int
    gains: dict[str, Gain]
    left_out: dict[str, str]
    parts: dict[str, Part | None]
    """By name; None for a slice that no request is in."""
    untrained: dict[str, dict[str, Interval]]
    """By metric, the rankers without training, and beside them `baseline` and `real`."""
    best_untrained: Interval
    """`real` less the best of them, in the metric of the ablation."""
    audit: Audit
    gate: Invariance


def collect(plan: Plan, metric: str, progress: Callable[[str], None] = lambda _: None) -> Evidence:
    """Compare the finished runs of a plan.

    Raises:
        InputError: a metric that was not measured; runs on other requests than the data now has.
    """
    progress("comparing the runs")
    frames = {name: [_run(plan, name, seed).requests() for seed in plan.seeds] for name in plan.controls}
    whole = frames["real"][0]
    if metric not in whole.columns:
        known = [name for name in whole.columns if "@" in name and name.count("/") == 0]
        raise InputError(f"--metric {metric}: not measured.{did_you_mean(metric, known)}")
    data = SequenceData(**plan.model["data"])
    settings = plan.model["model"]
    average: Average = settings["average"]
    cutoffs = tuple(sorted(settings["cutoffs"]))
    questions = Questions(data.dataset, data.histories("test"), "test", cutoffs, settings["exclude_seen"], average)
    user = whole["user_id"].rank("dense").cast(pl.Int64).to_numpy()
    rows = whole["request"].to_numpy()
    if not set(rows) <= set(questions.requests):
        raise InputError(f"{plan.folder}: was run on other requests than {plan.data} now has; name another folder.")
    values = {name: np.stack([frame[metric].to_numpy() for frame in found]) for name, found in frames.items()}
    real, baseline = values["real"].mean(0), values["baseline"].mean(0)
    progress("matching the words of queries and titles")
    found = titles(data)
    inside = slices(questions, found, rows)
    untrained = _untrained(questions, found, frames, metric)
    rivals = [each for name, each in untrained[metric].items() if name in (*UNTRAINED, TEXT)]
    best = max(rivals, key=lambda each: mean_of(each, user, average))
    progress("checking that no vector knows its future")
    network = checkpoints.load(trained(plan.folder / f"seed-{plan.seeds[0]}", "real")).network
    return Evidence(
        metric=metric,
        model=_run(plan, "real", plan.seeds[0]).model,
        data=data.dataset.name,
        synthetic=data.dataset.synthetic,
        seeds=plan.seeds,
        requests=len(whole),
        users=len(np.unique(user)),
        gains=_gains(values, user, average),
        left_out=plan.left_out,
        parts=_parts(inside, real, baseline, user, average),
        untrained={
            name: {ranker: mean_interval(each, user, average=average) for ranker, each in of.items()}
            for name, of in untrained.items()
        },
        best_untrained=paired_interval(real, best, user, ROUNDS, average=average),
        audit=audit(plan.data, questions),
        gate=invariance(network, data),
    )


def _gains(values: dict[str, np.ndarray], user: np.ndarray, average: Average) -> dict[str, Gain]:
    """Of the metric `[seeds, requests]` of each control."""

    def difference(a: np.ndarray, b: np.ndarray) -> Interval:
        return paired_interval(a.mean(0), b.mean(0), user, ROUNDS, average=average)

    gains = {}
    for name, own in values.items():
        control = CONTROLS[name]
        base = None if control.against is None else values[control.against]
        gains[name] = Gain(
            mean_interval(own.mean(0), user, ROUNDS, average=average),
            None if base is None else difference(own, base),
            [mean_of(each, user, average) for each in (own if base is None else own - base)],
            difference(own, values["real"]) if control.searches and name != "real" else None,
        )
    return gains


def _run(plan: Plan, name: str, seed: int) -> Run:
    folder = plan.run_of(name, seed)
    assert folder is not None, "collected before it was carried out"
    return read_run(folder)


def _untrained(
    questions: Questions, found: Titles | None, frames: dict[str, list[pl.DataFrame]], metric: str
) -> dict[str, dict[str, np.ndarray]]:
    """By metric and ranker, the values of the requests in the order of the frames; in re-ranking the exposed too."""
    whole = frames["real"][0]
    exposed = f"exposed/{metric.rpartition('/')[2]}"
    by_metric: dict[str, dict[str, np.ndarray]] = {}
    matched = None if found is None else text_match(questions, found)
    for name in dict.fromkeys([metric, exposed]):
        if name not in whole.columns:
            continue
        columns = {ranker: f"{ranker}/{name}" for ranker in UNTRAINED}
        of = {ranker: whole[column].to_numpy() for ranker, column in columns.items() if column in whole.columns}
        if matched is not None and name in matched.names:
            place = np.argsort(matched.rows)[np.searchsorted(np.sort(matched.rows), whole["request"].to_numpy())]
            of[TEXT] = matched.values(name)[place]
        for control in ("baseline", "real"):
            of[control] = np.stack([frame[name].to_numpy() for frame in frames[control]]).mean(0)
        by_metric[name] = of
    return by_metric


def _parts(
    inside: dict[str, np.ndarray], real: np.ndarray, baseline: np.ndarray, user: np.ndarray, average: Average
) -> dict[str, Part | None]:
    filled = {name: rows for name, rows in inside.items() if rows.any()}
    tests = [randomisation_test(real[rows], baseline[rows], user[rows], average=average) for rows in filled.values()]
    found = {
        name: Part(
            int(rows.sum()),
            len(np.unique(user[rows])),
            mean_interval(baseline[rows], user[rows], 1, average=average).mean,
            paired_interval(real[rows], baseline[rows], user[rows], ROUNDS, average=average),
            float(p),
        )
        for (name, rows), p in zip(filled.items(), holm(tests), strict=True)
    }
    return {name: found.get(name) for name in inside}
