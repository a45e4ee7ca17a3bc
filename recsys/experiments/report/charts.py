"""The figures of a group: how runs learned, and how good they are at each cutoff, for whom, and at what price."""

from collections.abc import Callable, Iterator
from typing import Any

from recsys import page as html
from recsys.experiments.report.group import PROTOCOLS, Group, measured, of_baseline, of_run, split_metric
from recsys.experiments.report.names import times
from recsys.experiments.runs import Run
from recsys.page import Axes, Estimate, Html, Point

POPULAR = "popularity"
BESIDE = ("ndcg", "recall")  # shown beside whatever the runs are ranked by
LOSSES = ("train/loss_epoch", "train/loss", "train/loss_step")
PRICES = (
    ("coverage", "share of the catalogue in any list", True),
    ("popularity", "training clicks of a listed item", False),
)


def learning(group: Group) -> list[Html]:
    """Validation and loss by step, where the runs have logged them."""
    logged = {key for run in group.drawn for key in run.curves}
    validated = [key for key in (f"val/{group.metric}", *sorted(logged)) if key in logged and key.startswith("val/")]
    losses = [key for key in LOSSES if key in logged]
    figures = []
    for key, title in [
        *((key, "Validation") for key in validated[:1]),
        *((key, "Training loss") for key in losses[:1]),
    ]:
        series = {group.name(run): run.curves.get(key, []) for run in group.drawn}
        figures.append(html.curves(Axes(title, "training step", key), series, group.series()))
    return figures


def cutoffs(group: Group) -> list[Html]:
    """Metrics by the length of the list, those that the runs are ranked by and those of `BESIDE`."""
    return [figure for metric in group.rows for kind in _kinds(metric) for figure in _by_cutoff(group, metric, kind)]


def prices(group: Group) -> list[Html]:
    """Accuracy against what the lists are beside accurate."""
    _, _, k = split_metric(group.metric)
    metric = next((name for name in group.rows if "/" not in name), None)  # lists of full ranking are what is measured
    figures = []
    for kind, meaning, share in PRICES if metric else ():
        found: dict[str, Point] = {}
        for run in group.runs:
            if (x := _of_lists(run, f"{kind}@{k}")) is not None:
                found[group.name(run)] = Point(x, of_run(run, metric or ""), group.hues[run.folder])
        for ranker, called in (("popular", POPULAR), ("recent", "recent popularity")):
            x = _of_lists(group.runs[0], f"{ranker}/{kind}@{k}")
            if x is not None and found:
                found[called] = Point(x, of_run(group.runs[0], of_baseline(metric or "", ranker)))
        if found:
            axes = Axes(f"{metric} against {kind}", f"{kind}@{k}: {meaning}", metric or "")
            figures.append(html.points(axes, found, x_share=share))
    return figures


def slices(group: Group) -> list[Html]:
    """The metrics within parts of the requests."""
    names = list(dict.fromkeys(name for run in group.drawn for name in run.slices))
    figures = []
    for metric in group.rows if names else ():
        rows = {
            "all requests": _within(group, metric, lambda run: {"metrics": run.metrics, "intervals": run.intervals})
        }
        for name in names:
            requests = next(run.slices[name]["requests"] for run in group.drawn if name in run.slices)
            label = f"{name} ({times(requests, 'request')})"
            rows[label] = _within(group, metric, lambda run, name=name: run.slices.get(name, {}))  # type: ignore[misc]
        figures.append(html.intervals(Axes(f"By slice, {metric}", metric, ""), rows, group.series(POPULAR)))
    return figures


def whole(run: Run) -> dict[str, Any]:
    """All test requests, as a slice has its part."""
    return {"metrics": run.metrics, "intervals": run.intervals}


def _within(group: Group, metric: str, part: Callable[[Run], dict[str, Any]]) -> dict[str, Estimate]:
    """By name the runs' values, and those of what is popular, of a part of the requests."""
    found = {group.name(run): measured(part(run), f"test/{metric}") for run in group.drawn}
    return found | {POPULAR: measured(part(group.runs[0]), f"test/{of_baseline(metric, 'popular')}")}


def _kinds(metric: str) -> list[str]:
    return list(dict.fromkeys([split_metric(metric)[1], *BESIDE]))[:2]


def _by_cutoff(group: Group, metric: str, kind: str) -> Iterator[Html]:
    prefix, _, _ = split_metric(metric)
    at = sorted(
        {
            int(name.rpartition("@")[2])
            for run in group.drawn
            for name in run.metrics
            if name.startswith(f"test/{prefix}{kind}@")
        }
    )
    if len(at) < 2:
        return
    named = [f"{prefix}{kind}@{k}" for k in at]
    found = {group.name(run): [of_run(run, name) for name in named] for run in group.drawn}
    popular = [of_run(group.runs[0], of_baseline(name, "popular"))[0] for name in named]
    series = {name: [mean for mean, _, _ in values] for name, values in found.items()} | {POPULAR: popular}
    bands = {name: [(low, high) for _, low, high in values] for name, values in found.items()}
    axes = Axes(f"{kind}@k, {PROTOCOLS.get(prefix, prefix)}", "k, length of the list", f"{prefix}{kind}@k")
    yield html.lines(axes, at, series, hues=group.series(POPULAR), bands=bands)


def _of_lists(run: Run, name: str) -> float | None:
    return run.catalogue.get(f"test/{name}", run.metrics.get(f"test/{name}"))
