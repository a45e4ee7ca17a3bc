"""The table of what tells settings apart."""

from typing import Any

from recsys import page as html
from recsys.experiments.report.ranking import Ranking
from recsys.page import Html
from recsys.page.numbers import NOTHING

LONG = 40  # characters of a value
ACROSS = 6  # settings that stand beside each other


def settings(ranking: Ranking) -> list[Html]:
    """Rows of the ranking across where they are few, else down; nothing where nothing differs."""
    keys = list(dict.fromkeys(key for own in ranking.differs for key in own))
    if not keys:
        return []
    if len(ranking.best) <= ACROSS:
        rows: list[list[object]] = [[key, *(_value(own.get(key)) for own in ranking.differs)] for key in sorted(keys)]
        return [html.table(["Setting", *map(ranking.name, ranking.best)], rows)]
    rows = [
        [html.named(ranking.name(row), hue=ranking.hue(row)), *(_value(own.get(key)) for key in keys)]
        for row, own in zip(ranking.best, ranking.differs, strict=True)
    ]
    return [html.details(f"Of {len(rows):,}", html.table(["Run", *keys], rows))]


def _value(value: Any) -> object:
    """As it is in the configuration; a class by its own name, of what is long the end, as of a path."""
    text = str(value)
    if value is None:
        return NOTHING
    if text.startswith("recsys."):
        return text.rpartition(".")[2]
    return text if len(text) <= LONG else "…" + text[1 - LONG :]
