"""Points and intervals as inline SVG: two measures against each other, and means with what is known of them."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from recsys.page.document import Html, details, table
from recsys.page.numbers import Score, figure, tick_labels, ticks
from recsys.page.plane import (
    BOTTOM,
    CHARACTER,
    HEIGHT,
    RIGHT,
    TOP,
    WIDTH,
    Axes,
    Hues,
    Plane,
    framed,
    text,
    thinned,
    tip,
)
from recsys.page.style import colour

ROW, LANE = 28, 13  # of a chart of intervals: height of a label, and of each series under it
ABOVE = 4  # there, over the first label

Estimate = tuple[float, float, float]
"""A mean and the ends of its interval; ends that are not finite are not drawn."""


class Point(NamedTuple):
    """One thing measured in two ways."""

    x: float
    y: Estimate
    hue: int | None = None
    """None draws it hollow and in grey."""
    named: bool = False
    """Whether its name stands beside it, where there is room."""


def points(axes: Axes, named: Mapping[str, Point], *, x_share: bool = False) -> Html:
    """A point for each name, with the interval of its height; the legend has those with a colour.

    `x_share` writes the horizontal axis as percentages. What is not finite is left out.
    """
    known = {name: point for name, point in named.items() if math.isfinite(point.x + point.y[0])}
    plane = Plane(axes, [end for point in known.values() for end in point.y])
    columns = [point.x for point in known.values()]
    rungs = ticks(min([0.0, *columns]), max([0.0, *columns]))

    def across(value: float) -> float:
        return plane.left + (plane.width - 6) * (value - rungs[0]) / (rungs[-1] - rungs[0])

    marks = [_rule(across(rung), TOP, HEIGHT - BOTTOM) for rung in rungs[1:]]
    taken = [(across(point.x), plane.height(point.y[0])) for point in known.values()]
    boxes = [(x - 6, x + 6, y - 6, y + 6) for x, y in taken]
    for (name, point), (x, y) in zip(known.items(), taken, strict=True):
        pointed = tip(name, f"{figure(Score(point.y[0]))} at {figure(point.x)}")
        style = colour(point.hue)
        if math.isfinite(point.y[1] + point.y[2]):
            marks.append(
                f'<line class="whisker {style}" x1="{x:.1f}" x2="{x:.1f}" y1="{plane.height(point.y[1]):.1f}" '
                f'y2="{plane.height(point.y[2]):.1f}"/>'
            )
        marks.append(f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="5">{pointed}</circle>')
        if point.named and (place := _free(x, y, len(name) * CHARACTER * 0.9, boxes)):
            left, right, _, bottom = place
            boxes.append(place)
            marks.append(text((left + right) / 2, bottom - 4, name))
    below = thinned([across(rung) for rung in rungs], tick_labels(rungs, x_share))
    numbers = details("Numbers", table(["", axes.x, axes.y], [[n, p.x, Score(p.y[0])] for n, p in known.items()]))
    best = max(known, key=lambda name: known[name].y[0], default="")
    said = [f"Scatter plot: {axes.y}, by {axes.x}.", *([f"{best} is highest."] if best else [])]
    hues = {name: point.hue for name, point in known.items() if point.hue is not None}
    return framed(axes, hues, plane.svg(marks, below), said, numbers if known else Html(""), "dot ")


def intervals(axes: Axes, rows: Mapping[str, Mapping[str, Estimate]], hues: Hues, *, apart: bool = False) -> Html:
    """Means with their intervals, horizontally: a row for each label, in it a lane for each series.

    The axis encloses what is drawn; with `apart` it encloses 0 too, which is marked, as differences need it. A row
    with one series of the row's own name needs no legend.
    """
    drawn = {row: {s: e for s, e in lanes.items() if math.isfinite(e[0])} for row, lanes in rows.items()}
    ends = [end for lanes in drawn.values() for estimate in lanes.values() for end in estimate if math.isfinite(end)]
    rungs = ticks(min([*ends, *[0.0] * (apart or not ends)]), max([*ends, *[0.0] * (apart or not ends)]))
    height = ABOVE + sum(ROW + LANE * len(lanes) for lanes in drawn.values()) + BOTTOM
    bottom = height - BOTTOM

    def across(value: float) -> float:
        return 12 + (WIDTH - RIGHT - 24) * (value - rungs[0]) / (rungs[-1] - rungs[0])

    parts = [_rule(across(rung), ABOVE, bottom, "axis" if apart and rung == 0 else "rule") for rung in rungs]
    parts += [text(x, bottom + 17, label) for x, label in thinned([across(r) for r in rungs], tick_labels(rungs))]
    parts += [text(WIDTH / 2, height - 6, axes.x)]
    y = ABOVE
    for row, lanes in drawn.items():
        y += ROW
        parts.append(text(2, y - 12, row, "start", "name"))
        for series, (mean, low, high) in lanes.items():
            style = colour(hues[series])
            pointed = tip(f"{row}, {series}" if series != row else row, _said(mean, low, high))
            if math.isfinite(low + high):
                parts.append(
                    f'<line class="whisker {style}" x1="{across(low):.1f}" x2="{across(high):.1f}" '
                    f'y1="{y:.1f}" y2="{y:.1f}"/>'
                )
            parts.append(f'<circle class="{style}" cx="{across(mean):.1f}" cy="{y:.1f}" r="4.5">{pointed}</circle>')
            y += LANE
    shown = {series: hues[series] for lanes in rows.values() for series in lanes}
    own = all(list(lanes) == [row] for row, lanes in rows.items())
    cells = [
        [row, *(_said(*lanes[name]) if name in lanes else None for name in ([row] if own else shown))]
        for row, lanes in rows.items()
    ]
    numbers = details("Numbers", table(["", axes.x] if own else ["", *shown], cells))
    said = [f"Intervals: {axes.x}.", *(f"{row}: {_best(lanes)}." for row, lanes in drawn.items() if lanes)]
    return framed(axes, {} if own else shown, "\n".join(parts), said, numbers, "dot ", height)


def strip(estimate: Estimate, low: float, high: float, hue: int | None, rule: float | None = None) -> Html:
    """A mean and its interval between `low` and `high`, as small as a word; `rule` marks a value to compare it with."""

    def across(value: float) -> float:
        return 6 + 148 * (min(max(value, low), high) - low) / ((high - low) or 1)

    mean, start, end = estimate
    marked = (
        "" if rule is None else f'<line class="axis" x1="{across(rule):.1f}" x2="{across(rule):.1f}" y1="2" y2="22"/>'
    )
    known = math.isfinite(start + end)
    whisker = f'<line class="whisker {colour(hue)}" x1="{across(start):.1f}" x2="{across(end):.1f}" y1="12" y2="12"/>'
    return Html(
        f'<svg class="strip" viewBox="0 0 160 24" role="img"><title>{escape(_said(*estimate))}</title>'
        f'<line class="rule" x1="0" x2="160" y1="12" y2="12"/>{marked}{whisker if known else ""}'
        f'<circle class="{colour(hue)}" cx="{across(mean):.1f}" cy="12" r="5"/></svg>'
    )


def _said(mean: float, low: float, high: float) -> str:
    known = math.isfinite(low + high)
    return f"{figure(Score(mean))} [{figure(Score(low))}, {figure(Score(high))}]" if known else figure(Score(mean))


def _best(lanes: Mapping[str, Estimate]) -> str:
    series = max(lanes, key=lambda name: lanes[name][0])
    return f"{series} {_said(*lanes[series])}"


def _rule(x: float, top: float, bottom: float, style: str = "rule") -> str:
    return f'<line class="{style}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'


Box = tuple[float, float, float, float]


def _free(x: float, y: float, width: float, boxes: Sequence[Box]) -> Box | None:
    """Room for a name beside a point, left, right, top and bottom, that touches nothing that is there."""
    for left, top in ((x + 8, y - 8), (x - 8 - width, y - 8), (x - width / 2, y - 24), (x - width / 2, y + 8)):
        place = (left, left + width, top, top + 16)
        inside = left >= 0 and left + width <= WIDTH and top >= TOP - 12 and top + 16 <= HEIGHT - BOTTOM + 4
        if inside and not any(_touch(place, box) for box in boxes):
            return place
    return None


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
