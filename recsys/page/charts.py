"""Charts as inline SVG, each a figure with a legend, a description in words and its numbers as a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from recsys.page.document import Html, details, table
from recsys.page.numbers import Share, figure, tick_labels, ticks
from recsys.page.style import COLOURS

WIDTH, HEIGHT = 440, 236
TOP, RIGHT, BOTTOM = 28, 10, 44  # the y label stands above the plot, the x label below its ticks
CHARACTER = 8.0  # width of a digit at the size that phones get
LONGEST = 24  # characters of a tick's label
DOTTED = 40  # lines of at most so many points show them

Series = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Axes:
    """What a chart says besides its marks.

    Attributes:
        title: of the figure.
        x: what the horizontal axis is, with its unit.
        y: what the marks measure, with its unit.
        note: a sentence below the title.
        share: values are shares in [0, 1], written as percentages.
    """

    title: str
    x: str
    y: str
    note: str = ""
    share: bool = False


def bars(axes: Axes, labels: Sequence[str], series: Series) -> Html:
    """Vertical bars over `labels` `[n]`, those of several series (name → values `[n]`) side by side.

    Values that are not finite draw nothing.
    """
    plot = _Plot(axes, series)
    band = plot.width / max(len(labels), 1)
    thick = min(0.76 * band / max(len(series), 1), 40)
    centres = [plot.left + band * (i + 0.5) for i in range(len(labels))]
    marks = []
    for s, (name, values) in enumerate(series.items()):
        for label, centre, value in zip(labels, centres, values, strict=True):
            if math.isfinite(value):
                left = centre + thick * (s - len(series) / 2)
                top, bottom = sorted((plot.height(0), plot.height(value)))
                marks.append(
                    f'<rect class="{_colour(s)}" x="{left + thick * 0.04:.1f}" y="{top:.1f}" '
                    f'width="{thick * 0.92:.1f}" height="{bottom - top:.1f}">{_tip(axes, name, label, value)}</rect>'
                )
    return _figure(axes, labels, series, plot.svg(marks, _thinned(centres, labels)), "Bar chart")


def lines(axes: Axes, at: Sequence[float], series: Series, *, every: float | None = None) -> Html:
    """Lines through `series` (name → values `[n]`) at the ascending places `at` `[n]`; what is not finite is bridged.

    `every` is the distance of the horizontal ticks where round decimal numbers would be odd, as for hours.
    """
    plot = _Plot(axes, series)
    start, end = (at[0], at[-1]) if len(at) else (0.0, 1.0)

    def across(value: float) -> float:
        return plot.left + 6 + (plot.width - 12) * (value - start) / ((end - start) or 1)

    marks = []
    for s, (name, values) in enumerate(series.items()):
        points = [(x, y) for x, y in zip(at, values, strict=True) if math.isfinite(y)]
        if points:
            path = " ".join(f"{across(x):.1f},{plot.height(y):.1f}" for x, y in points)
            marks.append(f'<polyline class="{_colour(s)}" points="{path}"/>')
        if len(at) <= DOTTED:
            marks += [
                f'<circle class="{_colour(s)}" cx="{across(x):.1f}" cy="{plot.height(y):.1f}" r="3.5">'
                f"{_tip(axes, name, figure(x), y)}</circle>"
                for x, y in points
            ]
    rungs = [tick for tick in ticks(start, end, every=every) if start <= tick <= end] if len(at) else []
    below = _thinned([across(tick) for tick in rungs], tick_labels(rungs))
    return _figure(axes, [figure(x) for x in at], series, plot.svg(marks, below), "Line chart", "line ")


class _Plot:
    """The plane of a chart: how high a value lies, and the axes around the marks."""

    def __init__(self, axes: Axes, series: Series) -> None:
        values = [value for values in series.values() for value in values if math.isfinite(value)]
        whole = not axes.share and all(value == int(value) for value in values)
        self.axes = axes
        self.note = "" if any(values) else "all zero" if values else "no data"
        self.rungs = ticks(min([0.0, *values]), max([0.0, *values]), whole=whole)
        self.texts = tick_labels(self.rungs, axes.share)
        self.left = 10 + max(map(len, self.texts)) * CHARACTER
        self.width = WIDTH - RIGHT - self.left

    def height(self, value: float) -> float:
        low, high = self.rungs[0], self.rungs[-1]
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    def svg(self, marks: list[str], below: list[tuple[float, str]]) -> str:
        centre = self.left + self.width / 2
        parts = []
        for rung, text in zip(self.rungs, self.texts, strict=True):
            y, style = self.height(rung), "axis" if rung == 0 else "rule"
            parts.append(f'<line class="{style}" x1="{self.left:.1f}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(_text(self.left - 7, y + 4, text, "end"))
        parts += [_text(x, HEIGHT - BOTTOM + 17, text) for x, text in below]
        parts += [_text(2, 12, self.axes.y, "start"), _text(centre, HEIGHT - 6, self.axes.x)]
        parts += [_text(centre, (TOP + HEIGHT - BOTTOM) / 2, self.note)] if self.note else []
        return "\n".join(parts + marks)


def _figure(axes: Axes, labels: Sequence[str], series: Series, drawing: str, kind: str, key: str = "") -> Html:
    names = "".join(
        f'<li><span class="key {key}{_colour(s)}"></span>{escape(name)}</li>' for s, name in enumerate(series)
    )
    legend = f'<ul class="legend">{names}</ul>' if len(series) > 1 else ""
    note = f"<p>{escape(axes.note)}</p>" if axes.note else ""
    columns = [[_number(axes, value) for value in values] for values in series.values()]
    numbers = details("Numbers", table([axes.x, *series], zip(labels, *columns, strict=True))) if labels else ""
    return Html(
        f"<figure>\n<figcaption><h3>{escape(axes.title)}</h3>{note}{legend}</figcaption>\n"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n<title>{escape(axes.title)}</title>\n'
        f"<desc>{escape(_words(axes, labels, series, kind))}</desc>\n{drawing}\n</svg>\n{numbers}\n</figure>"
    )


def _words(axes: Axes, labels: Sequence[str], series: Series, kind: str) -> str:
    """The chart for those who cannot see it: what it shows, and where each series is highest."""
    said = [f"{kind}: {axes.y}, by {axes.x}."]
    for name, values in series.items():
        known = [(value, label) for value, label in zip(values, labels, strict=True) if math.isfinite(value)]
        if known:
            value, label = max(known, key=lambda pair: pair[0])
            said.append(f"{name}: highest at {label}, {figure(_number(axes, value))}.")
    return " ".join(said if len(said) > 1 else [*said, "No data."])


def _thinned(places: Sequence[float], labels: Sequence[str]) -> list[tuple[float, str]]:
    """Every label, or every second, third, … so that none touches the next and none leaves the picture."""
    texts = [label if len(label) <= LONGEST else label[: LONGEST - 1] + "…" for label in labels]
    halves = [len(text) * CHARACTER / 2 for text in texts]
    inside = [min(max(x, half), WIDTH - half) for x, half in zip(places, halves, strict=True)]
    for every in range(1, len(texts) + 1):
        kept = range(0, len(texts), every)
        if all(inside[i] + halves[i] + CHARACTER / 2 <= inside[j] - halves[j] for i, j in pairwise(kept)):
            return [(inside[i], texts[i]) for i in kept]
    return []


def _tip(axes: Axes, name: str, label: str, value: float) -> str:
    return f"<title>{escape(f'{name}, {label}: {figure(_number(axes, value))}')}</title>"


def _number(axes: Axes, value: float) -> float:
    return Share(value) if axes.share else value


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _colour(series: int) -> str:
    return f"c{series % COLOURS}" + (" odd" if series % 2 else "")
