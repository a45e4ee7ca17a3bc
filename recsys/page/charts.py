"""Bars and lines as inline SVG, each a figure with a legend, a description in words and its numbers as a table."""

import math
from collections.abc import Mapping, Sequence

from recsys.page.document import Html, details, table
from recsys.page.numbers import figure, tick_labels, ticks
from recsys.page.plane import Axes, Hues, Plane, framed, highest, in_order, listed, number, thinned, tip
from recsys.page.style import colour

DOTTED = 40  # lines of at most so many points show them
PLACES = 6  # so few places are named one by one
FINE = 240  # points of a line that an eye can tell apart

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
) -> Html:
    """Lines through `series` (name → values `[n]`) at the ascending places `at` `[n]`; what is not finite is bridged.

    Args:
        axes: what the chart says.
        at: places.
        series: values.
        every: distance of the horizontal ticks where round decimal numbers would be odd, as for hours.
        hues: colours, where they must be those of other charts.
        bands: ends of intervals `[n]` around the values of some of the series.
    """
    hues = hues or in_order(series)
    ends = [end for pairs in (bands or {}).values() for pair in pairs for end in pair]
    plane = Plane(axes, [*(value for values in series.values() for value in values), *ends])
    track = _Track(plane, at)
    marks = []
    for name, pairs in (bands or {}).items():
        known = [(x, low, high) for x, (low, high) in zip(at, pairs, strict=True) if math.isfinite(low + high)]
        around = track.path([(x, low) for x, low, _ in known] + [(x, high) for x, _, high in reversed(known)])
        marks.append(f'<polygon class="{colour(hues[name])}" points="{around}"/>')
    for name, values in series.items():
        points = [(x, y) for x, y in zip(at, values, strict=True) if math.isfinite(y)]
        marks += track.line(name, points, hues[name], dotted=len(at) <= DOTTED)
    labels = [figure(x) for x in at]
    said = [f"Line chart: {axes.y}, by {axes.x}.", *highest(axes, labels, series)]
    drawing = plane.svg(marks, track.below(every, labels if len(at) <= PLACES else None))
    return framed(axes, {name: hues[name] for name in series}, drawing, said, listed(axes, labels, series), "line ")


def curves(axes: Axes, series: Mapping[str, Sequence[tuple[float, float]]], hues: Hues) -> Html:
    """Lines through the points of each series, at places of its own, ascending.

    The vertical axis need not begin at 0, as the shape is what counts; the numbers are those of the first and the last
    place, and the lowest and the highest.
    """
    finite = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in series.items()}
    known = {name: points for name, points in finite.items() if points}
    plane = Plane(axes, [y for points in known.values() for _, y in points], from_zero=False)
    track = _Track(plane, sorted(x for points in known.values() for x, _ in points))
    marks, said = [], [f"Line chart: {axes.y}, by {axes.x}."]
    rows: list[list[object]] = []
    for name, points in known.items():
        marks += track.line(name, _sparse(points), hues[name], dotted=len(points) <= DOTTED)
        ends = [points[0], points[-1], min(points, key=lambda p: p[1]), max(points, key=lambda p: p[1])]
        rows.append([name, *(f"{figure(y)} at {figure(x)}" for x, y in ends)])
        said.append(f"{name}: from {figure(ends[0][1])} to {figure(ends[1][1])}.")
    numbers = details("Numbers", table(["", "first", "last", "lowest", "highest"], rows)) if rows else Html("")
    return framed(axes, {name: hues[name] for name in known}, plane.svg(marks, track.below()), said, numbers, "line ")


class _Track:
    """The horizontal axis of lines through ascending places, and the marks along it."""

    def __init__(self, plane: Plane, at: Sequence[float]) -> None:
        self.plane, self.at = plane, at
        self.start, self.end = (at[0], at[-1]) if len(at) else (0.0, 1.0)

    def across(self, value: float) -> float:
        plane, length = self.plane, (self.end - self.start) or 1
        return plane.left + 6 + (plane.width - 12) * (value - self.start) / length

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{self.across(x):.1f},{self.plane.height(y):.1f}" for x, y in points)

    def line(self, name: str, points: Sequence[tuple[float, float]], hue: int | None, dotted: bool) -> list[str]:
        marks = [f'<polyline class="{colour(hue)}" points="{self.path(points)}"/>'] if points else []
        for x, y in points if dotted else ():
            said = tip(name, figure(x), figure(number(self.plane.axes, y)))
            place = f'cx="{self.across(x):.1f}" cy="{self.plane.height(y):.1f}"'
            marks.append(f'<circle class="{colour(hue)}" {place} r="3.5">{said}</circle>')
        return marks

    def below(self, every: float | None = None, labels: Sequence[str] | None = None) -> list[tuple[float, str]]:
        if labels is not None:
            return thinned([self.across(x) for x in self.at], labels)
        rungs = ticks(self.start, self.end, every=every) if len(self.at) else []
        inside = [rung for rung in rungs if self.start <= rung <= self.end]
        return thinned([self.across(rung) for rung in inside], tick_labels(inside))


def _sparse(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of long lines the lowest and the highest point of each of equal parts, in order: the same line at this size."""
    if len(points) <= FINE:
        return list(points)
    size = math.ceil(2 * len(points) / FINE)
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    both = [{min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])} for part in parts]
    return [point for pair in both for point in sorted(pair)]
