"""Bars and lines as inline SVG, each a figure with a legend, a description in words and its numbers as a table."""

import math
from collections.abc import Mapping, Sequence

from recsys.page.document import Html
from recsys.page.numbers import figure, tick_labels, ticks
from recsys.page.plane import Axes, Hues, Plane, colour, framed, highest, in_order, listed, number, thinned, tip

DOTTED = 40  # lines of at most so many points show them
PLACES = 6  # so few places are named one by one

Series = Mapping[str, Sequence[float]]
Bands = Mapping[str, Sequence[tuple[float, float]]]


def bars(axes: Axes, labels: Sequence[str], series: Series) -> Html:
    """Vertical bars over `labels` `[n]`, those of several series (name → values `[n]`) side by side.

    Values that are not finite draw nothing.
    """
    plane = Plane(axes, [value for values in series.values() for value in values])
    band = plane.width / max(len(labels), 1)
    thick = min(0.76 * band / max(len(series), 1), 40)
    centres = [plane.left + band * (i + 0.5) for i in range(len(labels))]
    marks = []
    for s, (name, values) in enumerate(series.items()):
        for label, centre, value in zip(labels, centres, values, strict=True):
            if math.isfinite(value):
                left = centre + thick * (s - len(series) / 2)
                top, bottom = sorted((plane.height(0), plane.height(value)))
                marks.append(
                    f'<rect class="{colour(s)}" x="{left + thick * 0.04:.1f}" y="{top:.1f}" '
                    f'width="{thick * 0.92:.1f}" height="{bottom - top:.1f}">'
                    f"{tip(name, label, figure(number(axes, value)))}</rect>"
                )
    said = [f"Bar chart: {axes.y}, by {axes.x}.", *highest(axes, labels, series)]
    drawing = plane.svg(marks, thinned(centres, labels))
    return framed(axes, in_order(series), drawing, said, listed(axes, labels, series))


def lines(
    axes: Axes,
    at: Sequence[float],
    series: Series,
    *,
    every: float | None = None,
    hues: Hues | None = None,
    bands: Bands | None = None,
    from_zero: bool = True,
) -> Html:
    """Lines through `series` (name → values `[n]`) at the ascending places `at` `[n]`; what is not finite is bridged.

    Args:
        axes: what the chart says.
        at: places.
        series: values.
        every: distance of the horizontal ticks where round decimal numbers would be odd, as for hours.
        hues: colours, where they must be those of other charts.
        bands: ends of intervals `[n]` around the values of some of the series.
        from_zero: whether the vertical axis begins at 0.
    """
    hues = hues or in_order(series)
    ends = [end for pairs in (bands or {}).values() for pair in pairs for end in pair]
    plane = Plane(axes, [*(value for values in series.values() for value in values), *ends], from_zero)
    start, end = (at[0], at[-1]) if len(at) else (0.0, 1.0)

    def across(value: float) -> float:
        return plane.left + 6 + (plane.width - 12) * (value - start) / ((end - start) or 1)

    def path(points: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{across(x):.1f},{plane.height(y):.1f}" for x, y in points)

    marks = []
    for name, pairs in (bands or {}).items():
        known = [(x, low, high) for x, (low, high) in zip(at, pairs, strict=True) if math.isfinite(low + high)]
        around = path([(x, low) for x, low, _ in known] + [(x, high) for x, _, high in reversed(known)])
        marks.append(f'<polygon class="{colour(hues[name])}" points="{around}"/>')
    for name, values in series.items():
        points = [(x, y) for x, y in zip(at, values, strict=True) if math.isfinite(y)]
        if points:
            marks.append(f'<polyline class="{colour(hues[name])}" points="{path(points)}"/>')
        if len(at) <= DOTTED:
            marks += [
                f'<circle class="{colour(hues[name])}" cx="{across(x):.1f}" cy="{plane.height(y):.1f}" r="3.5">'
                f"{tip(name, figure(x), figure(number(axes, y)))}</circle>"
                for x, y in points
            ]
    labels = [figure(x) for x in at]
    rungs = [tick for tick in ticks(start, end, every=every) if start <= tick <= end]
    below = list(zip(at, labels, strict=True)) if len(at) <= PLACES else list(zip(rungs, tick_labels(rungs), strict=True))
    said = [f"Line chart: {axes.y}, by {axes.x}.", *highest(axes, labels, series)]
    drawing = plane.svg(marks, thinned([across(x) for x, _ in below], [label for _, label in below]))
    return framed(axes, {name: hues[name] for name in series}, drawing, said, listed(axes, labels, series), "line ")
