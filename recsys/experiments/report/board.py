"""The ranking with its intervals, and what the comparison says of each difference."""

from collections.abc import Iterator, Sequence

from recsys import page as html
from recsys.experiments.compare import Row
from recsys.experiments.comparison import BASELINES
from recsys.experiments.report.names import times
from recsys.experiments.report.ranking import UNKNOWN, Ranking, better
from recsys.experiments.runs import Run
from recsys.page import Axes, Html

LEVEL = 0.05
READ = 30  # rows of a table, before the rest is folded
DRAWN = 12  # differences in a chart and beside it
METHOD = (
    "Runs are paired request by request, and seeds of a setting are averaged before. Intervals hold 95 % of 2,000 "
    "bootstrap means in which users are drawn with all their requests. p is that of a randomisation test that "
    "exchanges two settings' values user by user, and of Wilcoxon's signed-rank test of the users' mean differences; "
    "both are corrected by Holm's method for the number of settings that are compared with the baseline. Where there "
    "are no values per request, intervals are Student's over seeds, and those of differences Welch's."
)

Rows = Sequence[Sequence[object]]


def leaderboard(ranking: Ranking) -> list[Html]:
    """A row for each setting with metrics, differences and cost, then the baselines that any test measures."""
    best, columns = ranking.best, 1 + (len(ranking.best) > 1)
    popular = [x for x in [ranking.measured(best[0].run, f"popular/{ranking.metric}")[0]] if x == x]
    top = max([*popular, *(end for row in best for end in row.value if end == end)], default=1.0)
    header = ["Run", "", *(name for metric in ranking.rows for name in (metric, "difference")[:columns]), "Size, time"]
    rows: list[list[object]] = []
    for place, row in enumerate(best):
        strip = html.strip(row.value, 0, top, ranking.hue(row), *popular)
        cells = [cell for found in ranking.rows.values() for cell in _cells(found[place])[:columns]]
        rows.append([_named(ranking, row), strip, *cells, html.number(parameters(row.run), seconds(row.run))])
    beside: list[list[object]] = []
    for ranker, called in BASELINES.items():
        means = [ranking.measured(best[0].run, f"{ranker}/{metric}")[0] for metric in ranking.rows]
        if any(mean == mean for mean in means):
            drawn = html.strip((means[0], *UNKNOWN[1:]), 0, top, None) if means[0] <= top else Html("")
            cells = [cell for mean in means for cell in (html.estimate(mean, *UNKNOWN[1:]), Html(""))[:columns]]
            beside.append([html.named(called), drawn, *cells, Html("")])
    said = f"Differences are to {ranking.name(ranking.baseline)}. " * (columns > 1)
    said += "The mark in the small charts is popularity." * bool(popular)
    return [html.paragraph(said), *_folded(header, rows, beside)]


def _folded(header: Sequence[str], rows: Rows, always: Rows) -> list[Html]:
    """A table of so many rows as anybody reads, and of those that stand in it `always`; the rest opens on demand."""
    shown = html.table(header, [*rows[:READ], *always], stacked=True)
    rest = rows[READ:]
    return [shown, html.details(f"{len(rest):,} more", html.table(header, rest, stacked=True))] if rest else [shown]


def _named(ranking: Ranking, row: Row) -> Html:
    """The name as a link to the card, below it what it is of, behind it what to keep in mind."""
    name, several = ranking.name(row), any(len(other.runs) > 1 for other in ranking.best)
    below = row.run.name if row.run.name != name else ""
    if row.seeds is not None:
        below = f"{len(row.runs)} seeds, ± {row.seeds.high - row.seeds.mean:.4f} over them"
    mark = ", ".join(flag for flag in row.flags if several or flag != "single seed")
    return html.named(name, below, ranking.hue(row), ranking.anchor(row.run), mark)


def _cells(row: Row) -> tuple[Html, Html]:
    value = html.estimate(*row.value)
    return value, html.estimate(*row.difference, signed=True) if row.difference else html.quiet("baseline")


def differences(ranking: Ranking) -> list[Html]:
    """To the baseline: drawn and in numbers for the best, in numbers for the others."""
    charts, tables, rest = [], [], []
    header = ["Run", "Difference", "p", "p, Wilcoxon", "Reading"]
    for metric, rows in ranking.rows.items():
        compared = [row for row in rows if row.difference is not None]
        if not compared:
            continue
        axes = Axes(f"Difference to {ranking.name(ranking.baseline)}, {metric}", f"difference in {metric}", "")
        drawn = {ranking.name(row): row.difference for row in compared[:DRAWN] if row.difference is not None}
        hues = {ranking.name(row): ranking.hue(row) for row in compared}
        charts.append(html.intervals(axes, {name: {name: found} for name, found in drawn.items()}, hues, apart=True))
        said = [[*_tested(ranking, metric, row)] for row in compared]
        tables.append(html.table(header, said[:DRAWN], metric, stacked=True))
        if said[DRAWN:]:
            more = html.table(header, said[DRAWN:], metric, stacked=True)
            rest.append(html.details(f"{len(said) - DRAWN:,} more by {metric}", more))
    return [html.grid(*charts, *tables), *rest] if charts else []


def _tested(ranking: Ranking, metric: str, row: Row) -> Iterator[object]:
    assert row.difference is not None
    mean, low, high = row.difference
    yield html.named(ranking.name(row), hue=ranking.hue(row))
    yield html.estimate(mean, low, high, signed=True)
    yield html.number(p_text(row.p))
    yield html.number(p_text(row.wilcoxon_p))
    told = row.p < LEVEL if row.p is not None else low > 0 or high < 0
    apart = "better" if better(metric, mean) else "worse"
    yield apart if told else "not told apart" if row.p is not None or low == low else "not tested"


def numbers(ranking: Ranking) -> dict[str, object]:
    """What the ranking is of."""
    run = next((run for run in ranking.runs if run.has_requests), None)
    requests = None if run is None else run.requests(ranking.group.inside, [])
    found = {
        "Runs": len(ranking.runs),
        "Settings": len(ranking.best) if len(ranking.best) < len(ranking.runs) else None,
        "Test requests": None if requests is None else requests.height,
        "Users": None if requests is None else requests["user_id"].n_unique(),
        "Items ranked": ranking.best[0].run.protocols.get("full", {}).get("items"),
    }
    return {name: number for name, number in found.items() if number is not None}


def verdict(ranking: Ranking) -> str:
    """The sentence that the leaderboard comes down to."""
    best, metric, several = ranking.best[0], ranking.metric, len(ranking.best) > 1
    reached = f"is best of {times(len(ranking.best), 'setting')} by" if several else "reaches"
    within = "" if ranking.group.inside is None else f" within “{ranking.group.inside}”"
    said = f"{ranking.name(best)} {reached} {metric}{within}: {_text(*best.value)}"
    if best.difference is None:
        return f"{said}."
    tested = "" if best.p is None else f" (p {'' if best.p < 0.001 else '= '}{p_text(best.p)})"
    return f"{said}, {_text(*best.difference, sign='+')} against {ranking.name(ranking.baseline)}{tested}."


def _text(mean: float, low: float, high: float, sign: str = "") -> str:
    return f"{mean:{sign}.4f}" + (f" [{low:{sign}.4f}, {high:{sign}.4f}]" if low == low else "")


def p_text(value: float | None) -> str:
    """A p-value as it is read."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def parameters(run: Run) -> str:
    """How many it has; nothing where it did not say."""
    n = run.facts.get("n_parameters")
    return "" if n is None else f"{n / 1e6:,.2f} M" if n >= 1e5 else f"{n:,}"


def seconds(run: Run) -> str:
    """How long it trained; nothing where it did not say."""
    spent = run.facts.get("seconds")
    if spent is None:
        return ""
    return f"{spent / 3600:.1f} h" if spent >= 5400 else f"{spent / 60:.1f} min" if spent >= 90 else f"{spent:.0f} s"
