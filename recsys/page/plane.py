"""What every chart shares: the plane with its axes, and the figure around it with legend, words and numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from recsys.page.document import Html, details, table
from recsys.page.numbers import Share, figure, tick_labels, ticks
from recsys.page.style import colour

WIDTH, HEIGHT = 440, 236
TOP, RIGHT, BOTTOM = 28, 10, 44  # the y label stands above the plot, the x label below its ticks
CHARACTER = 8.0  # width of a digit at the size that phones get
LONGEST = 24  # characters of a tick's label

Hues = Mapping[str, int | None]
"""The colour of each series by its number, the same in every chart of a page; None draws it in grey."""


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


class Plane:
    """The plane of a chart: how high a value lies, and the axes around the marks.

    Args:
        axes: what it says.
        values: all that is drawn; those that are not finite are passed over.
        from_zero: whether the vertical axis begins at 0, as it must where lengths are compared.
    """

    def __init__(self, axes: Axes, values: Sequence[float], from_zero: bool = True) -> None:
        values = [value for value in values if math.isfinite(value)]
        whole = not axes.share and all(value == int(value) for value in values)
        zero = [0.0] if from_zero or not values else []
        self.axes = axes
        self.note = "no data" if not values else "all zero" if from_zero and not any(values) else ""
        self.rungs = ticks(min([*zero, *values]), max([*zero, *values]), whole=whole)
        self.texts = tick_labels(self.rungs, axes.share)
        self.left = 10 + max(map(len, self.texts)) * CHARACTER
        self.width = WIDTH - RIGHT - self.left

    def height(self, value: float) -> float:
        """From the top of the picture."""
        low, high = self.rungs[0], self.rungs[-1]
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    def svg(self, marks: Sequence[str], below: Sequence[tuple[float, str]]) -> str:
        """The axes, with the labels `below` at their places, and the marks over them."""
        centre = self.left + self.width / 2
        parts = []
        for rung, label in zip(self.rungs, self.texts, strict=True):
            y, style = self.height(rung), "axis" if rung == 0 else "rule"
            parts.append(f'<line class="{style}" x1="{self.left:.1f}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(text(self.left - 7, y + 4, label, "end"))
        parts += [text(x, HEIGHT - BOTTOM + 17, label) for x, label in below]
        parts += [text(2, 12, self.axes.y, "start"), text(centre, HEIGHT - 6, self.axes.x)]
        parts += [text(centre, (TOP + HEIGHT - BOTTOM) / 2, self.note)] if self.note else []
        return "\n".join([*parts, *marks])


def framed(
    axes: Axes, hues: Hues, drawing: str, said: Sequence[str], numbers: Html, key: str = "", height: float = HEIGHT
) -> Html:
    """The figure around a drawing: a legend where there are several series, what is `said` in words, the numbers."""
    names = "".join(
        f'<li><span class="key {key}{colour(hue)}"></span>{escape(name)}</li>' for name, hue in hues.items()
    )
    legend = f'<ul class="legend">{names}</ul>' if len(hues) > 1 else ""
    note = f"<p>{escape(axes.note)}</p>" if axes.note else ""
    return Html(
        f"<figure>\n<figcaption><h3>{escape(axes.title)}</h3>{note}{legend}</figcaption>\n"
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img">\n<title>{escape(axes.title)}</title>\n'
        f"<desc>{escape(' '.join(said if len(said) > 1 else [*said, 'No data.']))}</desc>\n{drawing}\n</svg>\n"
        f"{numbers}\n</figure>"
    )


def listed(axes: Axes, labels: Sequence[str], series: Mapping[str, Sequence[float]]) -> Html:
    """The numbers of a chart, opened on demand, a row for each label."""
    columns = [[number(axes, value) for value in values] for values in series.values()]
    return details("Numbers", table([axes.x, *series], zip(labels, *columns, strict=True))) if labels else Html("")


def highest(axes: Axes, labels: Sequence[str], series: Mapping[str, Sequence[float]]) -> list[str]:
    """Where each series is highest, for those who cannot see it."""
    said = []
    for name, values in series.items():
        known = [(value, label) for value, label in zip(values, labels, strict=True) if math.isfinite(value)]
        if known:
            value, label = max(known, key=lambda pair: pair[0])
            said.append(f"{name}: highest at {label}, {figure(number(axes, value))}.")
    return said


def thinned(places: Sequence[float], labels: Sequence[str]) -> list[tuple[float, str]]:
    """Every label, or every second, third, … so that none touches the next and none leaves the picture."""
    texts = [label if len(label) <= LONGEST else label[: LONGEST - 1] + "…" for label in labels]
    halves = [len(label) * CHARACTER / 2 for label in texts]
    inside = [min(max(x, half), WIDTH - half) for x, half in zip(places, halves, strict=True)]
    for every in range(1, len(texts) + 1):
        kept = range(0, len(texts), every)
        if all(inside[i] + halves[i] + CHARACTER / 2 <= inside[j] - halves[j] for i, j in pairwise(kept)):
            return [(inside[i], texts[i]) for i in kept]
    return []


def tip(name: str, *values: str) -> str:
    """What a mark says when it is pointed at."""
    return f"<title>{escape(f'{name}, ' + ': '.join(values))}</title>"


def number(axes: Axes, value: float) -> float:
    """The value as the chart's axes write it."""
    return Share(value) if axes.share else value


def text(x: float, y: float, label: str, anchor: str = "middle", style: str = "") -> str:
    """A label in the drawing."""
    worn = f' class="{style}"' if style else ""
    return f'<text{worn} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(label)}</text>'


def in_order(names: Sequence[str] | Mapping[str, object]) -> dict[str, int | None]:
    """Colours as they come."""
    return {name: i for i, name in enumerate(names)}
