"""Self-contained HTML pages: pure functions from plain text and numbers to escaped HTML; no assets, no scripts."""

from recsys.page.charts import bars, curves, lines
from recsys.page.document import (
    Html,
    Number,
    banner,
    card,
    contents,
    details,
    document,
    estimate,
    facts,
    footer,
    grid,
    lead,
    named,
    paragraph,
    section,
    table,
    tiles,
)
from recsys.page.numbers import Score, Share, figure
from recsys.page.plane import Axes, Hues
from recsys.page.plots import Estimate, Point, intervals, points, strip

__all__ = [
    "Axes",
    "Estimate",
    "Html",
    "Hues",
    "Number",
    "Point",
    "Score",
    "Share",
    "banner",
    "bars",
    "card",
    "contents",
    "curves",
    "details",
    "document",
    "estimate",
    "facts",
    "figure",
    "footer",
    "grid",
    "intervals",
    "lead",
    "lines",
    "named",
    "paragraph",
    "points",
    "section",
    "strip",
    "table",
    "tiles",
]
