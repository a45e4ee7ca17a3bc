"""Runs as one page to read, keep and print: nothing on it comes from elsewhere."""

from collections.abc import Sequence

from recsys import __version__
from recsys import page as html
from recsys.experiments.compare import comparable, compare
from recsys.experiments.report import board, charts
from recsys.experiments.report.cards import cards
from recsys.experiments.report.group import Group
from recsys.experiments.report.names import names, times
from recsys.experiments.runs import Run
from recsys.page import Html


def report(runs: Sequence[Run], metrics: Sequence[str], baseline: Run | None = None) -> str:
    """A self-contained HTML page about `runs`, ranked by the first of `metrics`, in groups that may be compared.

    Raises:
        InputError: a run lacks a metric, or what is compared request by request has other requests.
    """
    parts = comparable(runs, metrics)
    groups = []
    for i, part in enumerate(parts):
        rows = {metric: compare(part, metric, baseline)[0] for metric in metrics}
        order = {row.run.folder: place for place, row in enumerate(rows[metrics[0]])}
        rows = {metric: sorted(found, key=lambda row: order[row.run.folder]) for metric, found in rows.items()}
        groups.append(Group(rows, names(part), chr(97 + i) if len(parts) > 1 else ""))
    data = list(dict.fromkeys(run.data for run in runs))
    title = f"{times(len(runs), 'run')} on {data[0] if len(data) == 1 else times(len(data), 'data set')}"
    return html.document(title, *[part for group in groups for part in _group(group)], _footer())


def _group(group: Group) -> list[Html]:
    sections = {
        "leaderboard": ("Leaderboard", [board.leaderboard(group)]),
        "statistics": ("Differences", [html.paragraph(board.METHOD), board.statistics(group)]),
        "learning": ("Learning", [html.grid(*charts.learning(group))]),
        "cutoffs": ("By cutoff", [html.grid(*charts.cutoffs(group))]),
        "prices": ("Accuracy against coverage and popularity", [html.grid(*charts.prices(group))]),
        "slices": ("For whom", [html.grid(*charts.slices(group))]),
        "runs": ("Runs", cards(group)),
    }
    return [
        html.lead(board.verdict(group)),
        html.contents({group.place(key): heading for key, (heading, _) in sections.items()}),
        *(html.section(heading, *parts, anchor=group.place(key)) for key, (heading, parts) in sections.items()),
    ]


def _footer() -> Html:
    return html.footer(f"Written by recsys-zoo {__version__}.")
