"""The page as a whole: what stands in one ranking and what does not, and the sections about each."""

from collections.abc import Callable, Sequence

from recsys import __version__
from recsys import page as html
from recsys.experiments.comparison import Comparison
from recsys.experiments.report import board, charts
from recsys.experiments.report.cards import cards
from recsys.experiments.report.names import times
from recsys.experiments.report.ranking import Ranking
from recsys.experiments.report.settings import settings
from recsys.page import Html


def report(found: Comparison) -> str:
    """A self-contained HTML page about a comparison, with what its runs logged and measured beside."""
    several = len(found.groups) > 1
    rankings = [Ranking(group, chr(ord("a") + i) if several else "") for i, group in enumerate(found.groups)]
    runs = [run for ranking in rankings for run in ranking.runs]
    data = list(dict.fromkeys(ranking.group.data for ranking in rankings))
    about = data[0] if len(data) == 1 else times(len(data), "data set")
    synthetic = dict.fromkeys(run.data for run in runs if run.facts.get("synthetic"))
    body = []
    if synthetic:
        body.append(html.banner("Synthetic data", f"Nothing measured on {', '.join(synthetic)} is about real users."))
    if found.inside is not None:
        said = "Ranking, differences, cutoffs and accuracy are of its requests alone; curves and cards are of all."
        body.append(html.banner(f"Slice “{found.inside}”", said))
    body += [html.banner("Not read in full", sentence) for sentence in found.warnings]
    body += _overview(rankings)
    body += [part for ranking in rankings for part in _shown(ranking)]
    if found.left_out:
        rows = [[html.titled(run.name, run.model), why, run.data] for run, why in found.left_out]
        body.append(html.section("Not ranked", html.table(["Run", "Why", "Data"], rows)))
    body.append(html.footer(f"Written by recsys-zoo {__version__}. {board.METHOD}"))
    return html.document(f"{times(len(runs), 'run')} on {about}", *body)


def _overview(rankings: Sequence[Ranking]) -> list[Html]:
    """Why there are several rankings."""
    if len(rankings) < 2:
        return []
    said = html.paragraph("Numbers on different data or under different protocols cannot be ranked together.")
    rows = [
        [html.link(_title(ranking), ranking.letter), len(ranking.runs), "; ".join(ranking.group.why)]
        for ranking in rankings
    ]
    table = html.table(["Ranking", "Runs", "Not ranked with the first"], rows)
    return [html.section(f"{times(len(rankings), 'ranking')}, and why", said, table)]


def _title(ranking: Ranking) -> str:
    return f"{ranking.letter.upper()}. {ranking.group.data}"


def _shown(ranking: Ranking) -> list[Html]:
    drawn: dict[str, tuple[str, Callable[[Ranking], list[Html]]]] = {
        "learning": ("Learning", charts.learning),
        "cutoffs": ("By cutoff", charts.cutoffs),
        "beyond": ("Beyond accuracy", charts.prices),
        "slices": ("For whom", charts.slices),
    }
    figures = {anchor: (heading, draw(ranking)) for anchor, (heading, draw) in drawn.items()}
    sections = {
        "leaderboard": ("Leaderboard", board.leaderboard(ranking)),
        "differences": ("Differences", board.differences(ranking)),
        **{anchor: (heading, [html.grid(*found)] if found else []) for anchor, (heading, found) in figures.items()},
        "settings": ("Settings that differ", settings(ranking)),
        "runs": ("Runs", cards(ranking)),
    }
    sections = {ranking.place(anchor): section for anchor, section in sections.items() if section[1]}
    opening = [
        html.lead(board.verdict(ranking)),
        html.tiles(board.numbers(ranking)),
        html.contents({anchor: heading for anchor, (heading, _) in sections.items()}),
    ]
    if ranking.letter:
        why = (
            [html.paragraph(f"Not ranked with the first: {'; '.join(ranking.group.why)}.")] if ranking.group.why else []
        )
        opening = [html.band(_title(ranking), *why, *opening, anchor=ranking.letter)]
    return opening + [html.section(heading, *parts, anchor=anchor) for anchor, (heading, parts) in sections.items()]
