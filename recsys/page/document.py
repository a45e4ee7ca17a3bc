"""The page around the figures: headings, notices, tables, facts; text comes in plain and is escaped here."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from recsys.page.numbers import figure
from recsys.page.style import CSS



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


def section(heading: str, *parts: Html) -> Html:
    """A part of the page under a heading."""
    return Html(f"<section>\n<h2>{escape(heading)}</h2>\n" + "\n".join(parts) + "\n</section>")


def paragraph(text: str) -> Html:
    """Running text."""
    return Html(f"<p>{escape(text)}</p>")


def banner(heading: str, text: str) -> Html:
    """A notice that nobody overlooks."""
    return Html(f'<div class="banner" role="note"><strong>{escape(heading)}</strong>{escape(text)}</div>')


def tiles(figures: Mapping[str, object]) -> Html:
    """A row of large numbers, each with its name."""
    return Html(f'<dl class="tiles">{_pairs(figures.items())}</dl>')


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Names and values, one pair a line."""
    return Html(f'<dl class="sheet facts">{_pairs(pairs)}</dl>')


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> Html:
    """A table whose first column names its rows; numbers, and the headings above them, are aligned to the right.

    The caption also names the box in which a wide table scrolls.
    """
    body = [list(row) for row in rows]
    numeric = [any(_is_number(row[column]) for row in body) for column in range(len(header))]
    head = "".join(
        f'<th scope="col"{_class(right)}>{escape(name)}</th>' for name, right in zip(header, numeric, strict=True)
    )
    lines = "".join(f"<tr>{_cells(row, numeric)}</tr>\n" for row in body)
    label = escape(caption or header[0])
    titled = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Html(
        f'<div class="sheet" role="region" aria-label="{label}" tabindex="0"><table>{titled}'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody></table></div>"
    )


def details(summary: str, *parts: Html) -> Html:
    """Parts that open on demand."""
    return Html(f"<details><summary>{escape(summary)}</summary>\n" + "\n".join(parts) + "\n</details>")


def grid(*figures: Html) -> Html:
    """Figures beside each other as far as the page is wide."""
    return Html('<div class="grid">\n' + "\n".join(figures) + "\n</div>")


def _pairs(pairs: Iterable[tuple[str, object]]) -> str:
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(figure(value))}</dd></div>\n" for name, value in pairs)


def _cells(row: list[object], numeric: list[bool]) -> str:
    cells = [f"<td{_class(right)}>{escape(figure(value))}</td>" for value, right in zip(row, numeric, strict=True)]
    return "".join([f'<th scope="row"{_class(numeric[0])}>{escape(figure(row[0]))}</th>', *cells[1:]])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _class(right: bool) -> str:
    return ' class="n"' if right else ""
