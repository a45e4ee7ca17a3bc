"""The figures of a ranking: how runs learned, and how good they are at each cutoff, for whom, and at what price."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from recsys import page as html
from recsys.experiments.compare import differences_within
from recsys.experiments.report.names import times
from recsys.experiments.report.ranking import PROTOCOLS, Ranking, curve, estimate, over, split_metric
from recsys.experiments.runs import Run
from recsys.page import Axes, Estimate, Html, Point

POPULAR = "popularity"
BESIDE = ("ndcg", "recall")  # shown beside whatever the runs are ranked by
LOSSES = ("train/loss_epoch", "train/loss", "train/loss_step")
PRICES = (
    ("coverage", "share of the catalogue in any list", True),
    ("popularity", "training clicks of a listed item", False),
)
ALL = "all requests"
PAIRED = "Request by request, of the seeds' mean. Of many slices one may stand apart by chance."
SEEDS = "Of several seeds: the mean, from the lowest to the highest."


def learning(ranking: Ranking) -> list[Html]:
    """Validation and loss by step, where the runs have logged them."""
    logged = sorted({key for row in ranking.drawn for run in row.runs for key in run.curves})
    wanted = (f"val/{ranking.metric.removeprefix('val/')}", "val/ndcg@10", *logged)
    validation = [key for key in wanted if key in logged and key.startswith("val/")]
    losses = [key for key in LOSSES if key in logged]
    figures = []
    for title, keys in {"Validation": validation, "Training loss": losses}.items():
        for key in keys[:1]:
            series = {ranking.name(row): curve(row, key) for row in ranking.drawn}
            figures.append(html.curves(Axes(title, "training step", key), series, ranking.series()))
    return figures


def cutoffs(ranking: Ranking) -> list[Html]:
    """Metrics by the length of the list, those that the runs are ranked by and those of `BESIDE`."""
    kinds = {
        (prefix, kind): None
        for prefix, first, _ in map(split_metric, ranking.rows)
        for kind in list(dict.fromkeys([first, *BESIDE]))[:2]
    }
    return [figure for prefix, kind in kinds for figure in _by_cutoff(ranking, prefix, kind)]


def prices(ranking: Ranking) -> list[Html]:
    """Accuracy against what the lists of full ranking are beside accurate."""
    metric = next((name for name in ranking.rows if "/" not in name), "")
    figures, first = [], ranking.best[0].run
    for kind, meaning, share in PRICES if metric else ():
        measured = f"{kind}@{split_metric(metric)[2]}"
        found: dict[str, Point] = {}
        for row in ranking.best:
            x, _, _ = over(row, partial(ranking.measured, metric=measured))
            if x == x:
                found[ranking.name(row)] = Point(
                    x, over(row, partial(ranking.measured, metric=metric)), ranking.hue(row)
                )
        for ranker, called in (("popular", POPULAR), ("recent", "recent popularity")) if found else ():
            x, _, _ = ranking.measured(first, f"{ranker}/{measured}")
            found[called] = Point(x, ranking.measured(first, f"{ranker}/{metric}"), named=True)
        if found:
            axes = Axes(f"{metric} against {kind}", f"{measured}: {meaning}", metric, _note(ranking))
            figures.append(html.points(axes, found, x_share=share))
    return figures


def slices(ranking: Ranking) -> list[Html]:
    """The metrics within parts of the requests."""
    parts = {name: part for row in reversed(ranking.drawn) for name, part in row.run.slices.items()}
    figures = []
    for metric in ranking.rows:
        if all(estimate(part, metric)[0] != estimate(part, metric)[0] for part in parts.values()):
            continue
        rows = {ALL: _within(ranking, metric, _whole)}
        for name, part in parts.items():
            label = f"{name} ({times(part.get('requests', 0), 'request')})"
            rows[label] = _within(ranking, metric, partial(_slice, name=name))
        axes = Axes(f"By slice, {metric}", metric, "", _note(ranking))
        figures.append(html.intervals(axes, rows, ranking.series(POPULAR)))
        figures += _apart(ranking, metric, parts)
    return figures


def _apart(ranking: Ranking, metric: str, parts: Iterable[str]) -> list[Html]:
    """The differences to the baseline within the slices, paired; nothing where there are no values per request."""
    base = ranking.baseline
    others = [row for row in ranking.drawn if row is not base]
    rows: dict[str, dict[str, Estimate]] = {}
    for name in (ALL, *parts):
        found = differences_within(others, base, metric, None if name == ALL else name)
        rows[name] = {ranking.name(row): apart for row, apart in zip(others, found, strict=True) if apart is not None}
    rows = {name: lanes for name, lanes in rows.items() if lanes}
    if len(rows) < 2:
        return []
    axes = Axes(f"Difference to {ranking.name(base)} by slice, {metric}", f"difference in {metric}", "", PAIRED)
    return [html.intervals(axes, rows, ranking.series(), apart=True)]


def _whole(run: Run) -> dict[str, Any]:
    return {"metrics": run.metrics, "intervals": run.intervals}


def _slice(run: Run, name: str) -> dict[str, Any]:
    return run.slices.get(name, {})


def _within(ranking: Ranking, metric: str, part: Callable[[Run], dict[str, Any]]) -> dict[str, Estimate]:
    """By name the values of the rows, and that of what is popular, of a part of the requests."""
    found = {ranking.name(row): over(row, lambda run: estimate(part(run), metric)) for row in ranking.drawn}
    return found | {POPULAR: estimate(part(ranking.best[0].run), f"popular/{metric}")}


def _by_cutoff(ranking: Ranking, prefix: str, kind: str) -> Iterator[Html]:
    start = f"test/{prefix}{kind}@"
    measured = {name for row in ranking.drawn for name in row.run.metrics if name.startswith(start)}
    at = sorted(int(name.removeprefix(start)) for name in measured)
    if len(at) < 2:
        return
    named = [f"{prefix}{kind}@{k}" for k in at]
    found = {
        ranking.name(row): [over(row, partial(ranking.measured, metric=m)) for m in named] for row in ranking.drawn
    }
    popular = [ranking.measured(ranking.best[0].run, f"popular/{name}")[0] for name in named]
    series = {name: [mean for mean, _, _ in values] for name, values in found.items()} | {POPULAR: popular}
    bands = {name: [(low, high) for _, low, high in values] for name, values in found.items()}
    title = f"{kind}@k, {PROTOCOLS.get(prefix, prefix)}"
    axes = Axes(title, "k, length of the list", f"{prefix}{kind}@k", _note(ranking))
    yield html.lines(axes, at, series, hues=ranking.series(POPULAR), bands=bands)


def _note(ranking: Ranking) -> str:
    return SEEDS if any(len(row.runs) > 1 for row in ranking.drawn) else ""
