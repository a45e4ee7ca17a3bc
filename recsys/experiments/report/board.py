"""The ranking with its intervals, and what the comparison says of each difference."""

from collections.abc import Iterator, Sequence

from recsys import page as html
from recsys.experiments.compare import Row
from recsys.experiments.report.group import BASELINES, UNKNOWN, Group, of_baseline, of_run
from recsys.experiments.runs import Run
from recsys.page import Axes, Html

LEVEL = 0.05
READ = 30  # rows of a table, before the rest is folded
DRAWN = 12  # differences in a chart and beside it


def leaderboard(group: Group) -> list[Html]:
    """A row for each run with its metrics, differences and cost, then the baselines that any test measures."""
    best = group.rows[group.metric]
    popular = [x for x, _, _ in [of_run(best[0].run, of_baseline(group.metric, "popular"))] if x == x]
    top = max([*popular, *(end for row in best for end in row.value if end == end)])
    several = len(best) > 1
    header = ["Run", "", *(name for m in group.rows for name in (m, "difference")[: 1 + several]), "Size, time"]
    rows: list[list[object]] = []
    for place, row in enumerate(best):
        strip = html.strip(row.value, 0, top, group.hues[row.run.folder], *popular)
        cells = [cell for found in group.rows.values() for cell in _cells(found[place])[: 1 + several]]
        rows.append([_named(group, row.run), strip, *cells, _cost(row.run)])
    beside: list[list[object]] = []
    for ranker, called in BASELINES.items():
        values = [of_run(best[0].run, of_baseline(metric, ranker))[0] for metric in group.rows]
        if any(value == value for value in values):
            drawn = html.strip((values[0], UNKNOWN, UNKNOWN), 0, top, None) if values[0] <= top else Html("")
            cells = [
                cell for value in values for cell in (html.estimate(value, value, UNKNOWN), Html(""))[: 1 + several]
            ]
            beside.append([html.named(called), drawn, *cells, Html("")])
    said = [html.paragraph(f"Differences are to {baseline(group, group.metric)}.")] if several else []
    return [*said, *folded(header, rows, beside)]


Rows = Sequence[Sequence[object]]


def folded(header: Sequence[str], rows: Rows, always: Rows = ()) -> list[Html]:
    """A table of so many rows as anybody reads, and of those that stand in it `always`; the rest opens on demand."""
    shown = html.table(header, [*rows[:READ], *always], stacked=True)
    rest = rows[READ:]
    return [shown, html.details(f"{len(rest):,} more", html.table(header, rest, stacked=True))] if rest else [shown]


def differences(group: Group) -> list[Html]:
    """To the baseline: drawn and in numbers for the best, in numbers for the others."""
    charts, tables, rest = [], [], []
    header = ["Run", "Difference", "p", "p, Wilcoxon", "Reading"]
    for metric, rows in group.rows.items():
        compared = [row for row in rows if row.difference is not None]
        if not compared:
            continue
        axes = Axes(f"Difference to {baseline(group, metric)}, {metric}", f"difference in {metric}", "")
        drawn = {group.name(row.run): row.difference for row in compared[:DRAWN] if row.difference}
        hues = {group.name(row.run): group.hues[row.run.folder] for row in compared}
        charts.append(html.intervals(axes, {name: {name: found} for name, found in drawn.items()}, hues, apart=True))
        said = [[*_tested(group, row)] for row in compared]
        tables.append(html.table(header, said[:DRAWN], metric, stacked=True))
        if said[DRAWN:]:
            more = html.table(header, said[DRAWN:], metric, stacked=True)
            rest.append(html.details(f"{len(said) - DRAWN:,} more by {metric}", more))
    return [html.grid(*charts, *tables), *rest] if charts else []


def numbers(group: Group) -> dict[str, object]:
    """What the ranking is of."""
    requests = group.runs[0].requests()
    items = group.runs[0].protocols.get("full", {}).get("items")
    found = {
        "Runs": len(group.runs),
        "Test requests": requests.height,
        "Users": requests["user_id"].n_unique(),
        "Items ranked": items,
    }
    return {name: number for name, number in found.items() if number is not None}


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
    reached = f"is best of {len(group.runs):,} by" if len(group.runs) > 1 else "reaches"
    said = f"{group.name(best.run)} {reached} {group.metric}: {mean:.4f} [{low:.4f}, {high:.4f}]"
    if best.difference is None:
        return f"{said}."
    mean, low, high = best.difference
    return f"{said}, {mean:+.4f} [{low:+.4f}, {high:+.4f}] against {baseline(group, group.metric)} (p {p(best.p)})."


def p(value: float | None) -> str:
    """A p-value with its sign."""
    return "unknown" if value is None else "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _named(group: Group, run: Run) -> Html:
    mark = "" if run.state == "finished" else run.state
    below = "" if run.name == group.name(run) else run.name
    return html.named(group.name(run), below, group.hues[run.folder], group.anchor(run), mark)


def _cells(row: Row) -> tuple[Html, Html]:
    value = html.estimate(*row.value)
    return value, html.estimate(*row.difference, signed=True) if row.difference else html.quiet("baseline")


def _cost(run: Run) -> Html:
    return html.number(parameters(run), seconds(run))


def parameters(run: Run) -> str:
    """How many it has; nothing where it did not say."""
    n = run.facts.get("n_parameters")
    return "" if n is None else f"{n / 1e6:,.2f} M" if n >= 1e5 else f"{n:,}"


def seconds(run: Run) -> str:
    """How long it trained."""
    spent = run.facts.get("seconds")
    if spent is None:
        return ""
    return f"{spent / 3600:.1f} h" if spent >= 5400 else f"{spent / 60:.1f} min" if spent >= 90 else f"{spent:.0f} s"


def _tested(group: Group, row: Row) -> Iterator[object]:
    assert row.difference is not None
    yield html.named(group.name(row.run), hue=group.hues[row.run.folder])
    yield html.estimate(*row.difference, signed=True)
    yield html.number(p(row.p).removeprefix("= "))
    yield html.number(p(row.wilcoxon_p).removeprefix("= "))
    if row.p is None or row.p >= LEVEL:
        yield "not told apart"
    else:
        yield "better" if row.difference.mean > 0 else "worse"
