"""The page around the figures: headings, notices, tables, facts; text comes in plain and is escaped here."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from recsys.page.numbers import MINUS, NOTHING, figure
from recsys.page.style import CSS, colour


class Html(str):
    """Markup that is safe to put on a page; plain text becomes it only through the functions of this room."""


class Number(Html):
    """Markup of a number: stands to the right in a table."""


# The policy is a second lock: even text that slipped through unescaped could neither run nor fetch anything.
_DOCUMENT = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{css}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


def document(title: str, *parts: Html) -> str:
    """A whole page with `title` as its heading."""
    return _DOCUMENT.format(title=escape(title), css=CSS, body="\n".join(parts))


def section(heading: str, *parts: Html, anchor: str = "") -> Html:
    """A part of the page under a heading, which `contents` can lead to by its anchor."""
    place = f' id="{escape(anchor)}"' if anchor else ""
    return Html(f"<section{place}>\n<h2>{escape(heading)}</h2>\n" + "\n".join(parts) + "\n</section>")


def contents(places: Mapping[str, str]) -> Html:
    """Links to the parts of the page: anchor → what it is called."""
    links = "".join(f'<li><a href="#{escape(anchor)}">{escape(name)}</a></li>' for anchor, name in places.items())
    return Html(f'<nav aria-label="On this page"><ul>{links}</ul></nav>')


def lead(text: str) -> Html:
    """The sentence that says it all, above everything else."""
    return Html(f'<p class="lead">{escape(text)}</p>')


def paragraph(text: str) -> Html:
    """Running text."""
    return Html(f"<p>{escape(text)}</p>")


def footer(text: str) -> Html:
    """How the page came about, at its end."""
    return Html(f"<footer>{escape(text)}</footer>")


def banner(heading: str, text: str) -> Html:
    """A notice that nobody overlooks."""
    return Html(f'<div class="banner" role="note"><strong>{escape(heading)}</strong>{escape(text)}</div>')


def tiles(figures: Mapping[str, object]) -> Html:
    """A row of large numbers, each with its name."""
    return Html(f'<dl class="tiles">{_pairs(figures.items())}</dl>')


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Names and values, one pair a line."""
    return Html(f'<dl class="sheet facts">{_pairs(pairs)}</dl>')


def verbatim(text: str) -> Html:
    """Lines as they are, to be copied; long ones scroll."""
    return Html(f'<pre class="sheet" tabindex="0">{escape(text)}</pre>')


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "", *, stacked: bool = False) -> Html:
    """A table whose first column names its rows; numbers, and the headings above them, are aligned to the right.

    The caption also names the box in which a wide table scrolls; on a phone a `stacked` one is a card for each row.
    """
    body = [list(row) for row in rows]
    numeric = [any(_is_number(row[column]) for row in body) for column in range(len(header))]
    head = "".join(
        f'<th scope="col"{_class(right)}>{escape(name)}</th>' for name, right in zip(header, numeric, strict=True)
    )
    names = header if stacked else ()
    lines = "".join(f"<tr>{_cells(row, numeric, names)}</tr>\n" for row in body)
    label = escape(caption or header[0] or "Numbers")
    titled = f"<caption>{escape(caption)}</caption>" if caption else ""
    style = "sheet stacked" if stacked else "sheet"
    return Html(
        f'<div class="{style}" role="region" aria-label="{label}" tabindex="0"><table>{titled}'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody></table></div>"
    )


def details(summary: str, *parts: Html) -> Html:
    """Parts that open on demand."""
    return Html(f"<details><summary>{escape(summary)}</summary>\n" + "\n".join(parts) + "\n</details>")


def card(anchor: str, summary: Html, *parts: Html, opened: bool = False) -> Html:
    """Parts about one thing that open on demand; a link to the anchor opens them too."""
    state = " open" if opened else ""
    return Html(
        f'<details class="card"{state}><summary>{summary}</summary>\n<div id="{escape(anchor)}">\n'
        + "\n".join(parts)
        + "\n</div></details>"
    )


def named(name: str, below: str = "", hue: int | None = None, anchor: str = "", mark: str = "") -> Html:
    """A name behind the mark of its colour in the charts, with a smaller line below it, and a `mark` such as a warning.

    `anchor` makes it a link to that place of the page.
    """
    text = link(name, anchor) if anchor else escape(name)
    small = f"<small>{escape(below)}</small>" if below else ""
    badge = f' <span class="badge">{escape(mark)}</span>' if mark else ""
    return Html(
        f'<span class="named"><span class="key dot {colour(hue)}"></span><span>{text}{badge}{small}</span></span>'
    )


def link(text: str, anchor: str) -> Html:
    """Text that leads to a place of the page."""
    return Html(f'<a href="#{escape(anchor)}">{escape(text)}</a>')


def titled(name: str, below: str) -> Html:
    """A name with a smaller line below it."""
    return Html(f"{escape(name)}<small>{escape(below)}</small>")


def band(heading: str, *parts: Html, anchor: str) -> Html:
    """Where a part of the page begins that has sections of its own."""
    return Html(f'<header id="{escape(anchor)}"><h2>{escape(heading)}</h2>\n' + "\n".join(parts) + "\n</header>")


def estimate(mean: float, low: float, high: float, *, signed: bool = False) -> Number:
    """A mean of four decimals with its interval below it, as far as that is known."""
    if not math.isfinite(mean):
        return number(NOTHING)
    sign = "+" if signed else ""
    ends = f"[{low:{sign}.4f}, {high:{sign}.4f}]" if math.isfinite(low + high) else ""
    return number(f"{mean:{sign}.4f}".replace("-", MINUS), ends.replace("-", MINUS))


def number(text: str, below: str = "") -> Number:
    """A number as it is to be read, with a smaller line below it."""
    return Number(escape(text) + (f"<small>{escape(below)}</small>" if below else ""))


def quiet(text: str) -> Html:
    """What may be passed over."""
    return Html(f'<span class="quiet">{escape(text)}</span>')


def grid(*figures: Html) -> Html:
    """Figures beside each other as far as the page is wide."""
    return Html('<div class="grid">\n' + "\n".join(figures) + "\n</div>")


def halves(one: Html, other: Html) -> Html:
    """Two parts side by side where there is room."""
    return Html(f'<div class="halves">\n{one}\n{other}\n</div>')


def _pairs(pairs: Iterable[tuple[str, object]]) -> str:
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{_cell(value)}</dd></div>\n" for name, value in pairs)


def _cells(row: list[object], numeric: list[bool], names: Sequence[str]) -> str:
    said = [f' data-name="{escape(name)}"' if name else ' class="bare"' for name in names] or [""] * len(row)
    cells = [
        f"<td{_class(right)}{name}>{_cell(value)}</td>" for value, right, name in zip(row, numeric, said, strict=True)
    ]
    return "".join([f'<th scope="row"{_class(numeric[0])}>{_cell(row[0])}</th>', *cells[1:]])


def _cell(value: object) -> str:
    return value if isinstance(value, Html) else escape(figure(value))


def _is_number(value: object) -> bool:
    return isinstance(value, Number | int | float) and not isinstance(value, bool)


def _class(right: bool) -> str:
    return ' class="n"' if right else ""
