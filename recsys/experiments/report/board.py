"""The ranking with its intervals, and what the comparison says of each difference."""

from collections.abc import Iterator

from recsys import page as html
from recsys.experiments.compare import Row
from recsys.experiments.report.group import BASELINES, Group, of_baseline, of_run
from recsys.experiments.runs import Run
from recsys.page import Axes, Estimate, Html, Number

LEVEL = 0.05


def leaderboard(group: Group) -> Html:
    """A row for each run with its metrics, differences and cost, then the baselines that any test measures."""
    best = group.rows[group.metric]
    popular = [of_run(row.run, of_baseline(group.metric, "popular"))[0] for row in best[:1]]
    shown = [row.value for row in best] + [(value, value, value) for value in popular if value == value]
    top = max(end for estimate in shown for end in estimate if end == end)
    header = ["Run", "", *(cell for m in group.rows for cell in (m, _against(group, m))), "Parameters", "Time"]
    rows: list[list[object]] = []
    for place, row in enumerate(best):
        run = row.run
        strip = html.strip(row.value, 0, top, group.hues[run.folder], *popular)
        cells = [cell for metric in group.rows for cell in _cells(group.rows[metric][place])]
        rows.append([_named(group, run), strip, *cells, *_cost(run)])
    for ranker, called in BASELINES.items():
        values = [of_run(best[0].run, of_baseline(metric, ranker)) for metric in group.rows]
        if any(value[0] == value[0] for value in values):
            value = values[0]
            drawn = html.strip(value, 0, top, None) if value[0] <= top else Html("")
            cells = [cell for value in values for cell in (html.estimate(*value), Html(""))]
            rows.append([html.named(called), drawn, *cells, Html(""), Html("")])
    return html.table(header, rows, stacked=True)


def statistics(group: Group) -> Html:
    """Differences to the baseline, drawn and in numbers."""
    charts, parts = [], []
    for metric, rows in group.rows.items():
        compared = [row for row in rows if row.difference is not None]
        if not compared:
            continue
        axes = Axes(f"Difference to {baseline(group, metric)}", f"difference in {metric}", "")
        estimates = {group.name(row.run): {group.name(row.run): tuple(row.difference or ())} for row in compared}
        hues = {group.name(row.run): group.hues[row.run.folder] for row in compared}
        charts.append(html.intervals(axes, estimates, hues, apart=True))  # type: ignore[arg-type]
        parts += [[*_tested(group, metric, row)] for row in compared]
    header = ["Run", "Metric", "Difference", "p", "p, Wilcoxon", "Reading"]
    return Html("\n".join([html.grid(*charts), html.table(header, parts, stacked=True)])) if parts else Html("")


METHOD = (
    "Runs are paired request by request. Intervals hold 95 % of 2,000 bootstrap means in which users are drawn with "
    "all their requests. p is that of a randomisation test that exchanges the two runs' values user by user, and of "
    "Wilcoxon's signed-rank test of the users' mean differences; both are corrected by Holm's method for the number "
    "of runs that are compared with the baseline."
)


def baseline(group: Group, metric: str) -> str:
    """The name of the run that others are compared with."""
    return next(group.name(row.run) for row in group.rows[metric] if row.difference is None)


def verdict(group: Group) -> str:
    """The sentence that the leaderboard comes down to."""
    best = group.rows[group.metric][0]
    mean, low, high = best.value
    said = f"{group.name(best.run)} is best by {group.metric}: {mean:.4f} [{low:.4f}, {high:.4f}]"
    if best.difference is None:
        return f"{said}."
    mean, low, high = best.difference
    return f"{said}, {mean:+.4f} [{low:+.4f}, {high:+.4f}] against {baseline(group, group.metric)} (p {p(best.p)})."


def p(value: float | None) -> str:
    """A p-value with its sign."""
    return "unknown" if value is None else "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _against(group: Group, metric: str) -> str:
    return "" if len(group.runs) == 1 else f"against {baseline(group, metric)}"


def _named(group: Group, run: Run) -> Html:
    mark = "" if run.state == "finished" else run.state
    return html.named(group.name(run), run.name, group.hues[run.folder], group.anchor(run), mark)


def _cells(row: Row) -> tuple[Html, Html]:
    value = html.estimate(*row.value)
    return value, html.estimate(*row.difference, signed=True) if row.difference else Html("")


def _cost(run: Run) -> tuple[object, object]:
    return parameters(run), seconds(run)


def parameters(run: Run) -> object:
    """How many it has; nothing where it did not say."""
    n = run.facts.get("n_parameters")
    return Html("") if n is None else Number(f"{n / 1e6:,.2f} M" if n >= 1e6 else f"{n:,}")


def seconds(run: Run) -> object:
    """How long it trained."""
    spent = run.facts.get("seconds")
    if spent is None:
        return Html("")
    return Number(
        f"{spent / 3600:.1f} h" if spent >= 5400 else f"{spent / 60:.1f} min" if spent >= 90 else f"{spent:.0f} s"
    )


def _tested(group: Group, metric: str, row: Row) -> Iterator[object]:
    assert row.difference is not None
    yield html.named(group.name(row.run), hue=group.hues[row.run.folder])
    yield metric
    yield html.estimate(*row.difference, signed=True)
    yield Number(p(row.p).removeprefix("= "))
    yield Number(p(row.wilcoxon_p).removeprefix("= "))
    if row.p is None or row.p >= LEVEL:
        yield "not told apart"
    else:
        yield "better" if row.difference.mean > 0 else "worse"
