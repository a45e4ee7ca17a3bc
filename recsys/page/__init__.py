"""Self-contained HTML pages: pure functions from plain text and numbers to escaped HTML; no assets, no scripts."""

from recsys.page.charts import bars, lines
from recsys.page.document import Html, banner, details, document, facts, grid, paragraph, section, table, tiles
from recsys.page.numbers import Share, figure
from recsys.page.plane import Axes

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
