"""Self-contained HTML pages: pure functions from plain text and numbers to escaped HTML; no assets, no scripts."""

from recsys.page.charts import Axes, bars, lines
from recsys.page.document import Html, banner, details, document, facts, grid, paragraph, section, table, tiles
from recsys.page.numbers import Share, figure

__all__ = [
    "Axes",
    "Html",
    "Share",
    "banner",
    "bars",
    "details",
    "document",
    "facts",
    "figure",
    "grid",
    "lines",
    "paragraph",
    "section",
    "table",
    "tiles",
]
