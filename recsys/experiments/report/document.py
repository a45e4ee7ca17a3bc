"""The page as a whole: what stands in one ranking and what does not, and the sections about each."""

from collections.abc import Callable, Sequence

from recsys import __version__
from recsys import page as html
from recsys.errors import InputError, did_you_mean
from recsys.experiments.compare import comparable, compare
from recsys.experiments.report import board, charts
from recsys.experiments.report.apart import reasons, unranked
from recsys.experiments.report.cards import cards
from recsys.experiments.report.group import Group
from recsys.experiments.report.names import names, times
from recsys.experiments.report.settings import settings
from recsys.experiments.runs import Run
from recsys.page import Html


def report(
    runs: Sequence[Run],
    metrics: Sequence[str],
    baseline: Run | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> str:
    """A self-contained HTML page about `runs`, ranked by the first of `metrics`, in groups that may be compared.

    Args:
        runs: those that lack a metric, or their values per request, are listed with the reason.
        metrics: short names, as in exposed/ndcg@10.
        baseline: what others are compared with; the first of each group where it is not in it.
        progress: called with a short line before each step.

    Raises:
        InputError: no run has all metrics, or what is compared request by request has other requests.
    """
    why = {run.folder: unranked(run, metrics) for run in runs}
    ranked = [run for run in runs if not why[run.folder]]
    if not ranked:
        told = "; ".join(f"{run.name}: {why[run.folder]}" for run in runs[:3])
        known = {name.removeprefix("test/") for run in runs for name in run.metrics if name.startswith("test/")}
        guess = "".join(did_you_mean(metric, known) for metric in metrics if metric not in known)
        raise InputError(f"{times(len(runs), 'run')}, and none to rank by {', '.join(metrics)} ({told}).{guess}")
    parts = comparable(ranked, metrics)
    groups = [_group(part, metrics, baseline, i if len(parts) > 1 else None, progress) for i, part in enumerate(parts)]
    progress("drawing the page")
    data = list(dict.fromkeys(run.data for run in ranked))
    title = f"{times(len(ranked), 'run')} on {data[0] if len(data) == 1 else times(len(data), 'data set')}"
    body = [part for group in groups for part in _shown(group, groups[0], metrics)]
    if len(groups) > 1:
        body.insert(0, _overview(groups, metrics))
    left = [run for run in runs if why[run.folder]]
    if left:
        rows = [[html.titled(run.name, run.model), why[run.folder], run.data] for run in left]
        body.append(html.section("Not ranked", html.table(["Run", "Why", "Data"], rows)))
    synthetic = list(dict.fromkeys(run.data for run in ranked if run.facts.get("synthetic")))
    if synthetic:
        body.insert(
            0, html.banner("Synthetic data", f"Nothing measured on {', '.join(synthetic)} is about real users.")
        )
    return html.document(title, *body, html.footer(f"Written by recsys-zoo {__version__}. {board.METHOD}"))


def _group(
    runs: Sequence[Run],
    metrics: Sequence[str],
    baseline: Run | None,
    place: int | None,
    progress: Callable[[str], None],
) -> Group:
    rows = {}
    for metric in metrics:
        progress(f"comparing {times(len(runs), 'run')} on {runs[0].data} by {metric}")
        rows[metric] = compare(runs, metric, baseline)[0]
    order = {row.run.folder: i for i, row in enumerate(rows[metrics[0]])}
    rows = {metric: sorted(found, key=lambda row: order[row.run.folder]) for metric, found in rows.items()}
    return Group(rows, names(runs), "" if place is None else chr(ord("a") + place))


def _overview(groups: Sequence[Group], metrics: Sequence[str]) -> Html:
    first = groups[0].runs[0]
    rows = []
    for group in groups:
        run = group.runs[0]
        why = "; ".join(reasons(run, first, metrics)) if group is not groups[0] else ""
        rows.append([html.link(_title(group), group.letter), len(group.runs), why or html.Html("")])
    said = html.paragraph("Numbers on different data or under different protocols cannot be ranked together.")
    return html.section(
        f"{times(len(groups), 'ranking')}, and why", said, html.table(["Ranking", "Runs", "Differs in"], rows)
    )


def _title(group: Group) -> str:
    return f"{group.letter.upper()}. {group.runs[0].data}"


def _shown(group: Group, first: Group, metrics: Sequence[str]) -> list[Html]:
    differences = board.differences(group)
    sections: list[tuple[str, str, list[Html]]] = [
        ("leaderboard", "Leaderboard", board.leaderboard(group)),
        ("differences", "Differences", differences),
        ("learning", "Learning", _grid(charts.learning(group))),
        ("cutoffs", "By cutoff", _grid(charts.cutoffs(group))),
        ("beyond", "Beyond accuracy", _grid(charts.prices(group))),
        ("slices", "For whom", _grid(charts.slices(group))),
        ("settings", "Settings that differ", settings(group)),
        ("runs", "Runs", cards(group)),
    ]
    sections = [section for section in sections if section[2]]
    opening = [
        html.lead(board.verdict(group)),
        html.tiles(board.numbers(group)),
        html.contents({group.place(anchor): heading for anchor, heading, _ in sections}),
    ]
    if group.letter:
        why = "; ".join(reasons(group.runs[0], first.runs[0], metrics)) if group is not first else ""
        opening.insert(0, html.paragraph(f"Apart from {_title(first)}: {why}." if why else ""))
        opening = [html.band(_title(group), *opening, anchor=group.letter)]
    return opening + [html.section(heading, *parts, anchor=group.place(anchor)) for anchor, heading, parts in sections]


def _grid(figures: Sequence[Html]) -> list[Html]:
    return [html.grid(*figures)] if figures else []
