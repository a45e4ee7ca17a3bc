import math
from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from recsys.page import Axes, bars, curves, lines
from recsys.page.plane import BOTTOM, CHARACTER, HEIGHT, TOP, WIDTH

AXES = Axes("Clicks", "clicks in a request", "requests")
texts = st.text(st.characters(exclude_categories=["C"]), max_size=40)
values = st.floats(-1e12, 1e12) | st.sampled_from([math.nan, math.inf, -math.inf])


@st.composite
def charts(draw):
    labels = draw(st.lists(texts, max_size=30))
    column = st.lists(values, min_size=len(labels), max_size=len(labels))
    return labels, draw(st.dictionaries(texts, column, max_size=8))


def parsed(figure):
    return ElementTree.fromstring(figure)


def ticks_below(figure):
    return [text for text in figure.findall("svg/text") if float(text.get("y")) == HEIGHT - BOTTOM + 17]


def require_apart(texts):
    """No text touches the next, and none leaves the picture."""
    spans = [(float(t.get("x")), len(t.text or "") * CHARACTER / 2) for t in texts]
    assert all(x + half <= y - other for (x, half), (y, other) in pairwise(spans))
    assert all(half - 0.1 <= x <= WIDTH - half + 0.1 for x, half in spans)


@given(charts(), st.booleans())
def test_bars_of_anything_stay_in_the_plane(chart, share):
    labels, series = chart
    figure = parsed(bars(Axes("t", "x", "y", share=share), labels, series))
    drawn = figure.findall("svg/rect")
    assert len(drawn) == sum(math.isfinite(value) for column in series.values() for value in column)
    for bar in drawn:
        top, height = float(bar.get("y")), float(bar.get("height"))
        assert TOP - 0.1 <= top <= top + height <= HEIGHT - BOTTOM + 0.1
        assert 0 <= float(bar.get("x")) <= float(bar.get("x")) + float(bar.get("width")) <= WIDTH
    require_apart(ticks_below(figure))


@given(charts(), st.sampled_from([None, 3.0]))
def test_lines_of_anything_stay_in_the_plane(chart, every):
    labels, series = chart
    figure = parsed(lines(AXES, range(len(labels)), series, every=every))
    for line in figure.findall("svg/polyline"):
        for point in line.get("points").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= WIDTH
            assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1
    require_apart(ticks_below(figure))


def test_heights_are_in_proportion():
    figure = parsed(bars(AXES, ["1", "2", "3"], {"train": [10, 20, 5]}))
    heights = [float(bar.get("height")) for bar in figure.findall("svg/rect")]
    assert heights[1] / heights[0] == 2
    assert heights[0] / heights[2] == 2


def test_a_chart_says_in_words_and_numbers_what_it_draws():
    figure = parsed(bars(Axes("Cold", "split", "share", share=True), ["train", "test"], {"cold": [0.1, 0.444]}))
    assert figure.find("svg").get("role") == "img"
    assert figure.find("svg/title").text == "Cold"
    assert figure.find("svg/desc").text == "Bar chart: share, by split. cold: highest at test, 44.4\u202f%."
    assert [td.text for td in figure.findall("details//td")] == ["10.0\u202f%", "44.4\u202f%"]
    assert [bar.find("title").text for bar in figure.findall("svg/rect")][1] == "cold, test: 44.4\u202f%"


def test_an_empty_chart_says_so():
    for figure in (bars(AXES, [], {}), bars(AXES, ["1"], {"train": [math.nan]}), lines(AXES, [], {"train": []})):
        assert "no data" in [text.text for text in parsed(figure).findall("svg/text")]
        assert "No data." in parsed(figure).find("svg/desc").text
    assert "all zero" in [text.text for text in parsed(bars(AXES, ["1"], {"train": [0]})).findall("svg/text")]


def test_only_several_series_need_a_legend():
    def legend(series):
        return [item.find("span").tail for item in parsed(bars(AXES, ["1"], series)).findall("figcaption/ul/li")]

    assert legend({"train": [1]}) == []
    assert legend({"train": [1], "test": [2]}) == ["train", "test"]


def test_a_line_bridges_what_is_missing():
    figure = parsed(lines(AXES, [0, 1, 2], {"loss": [3.0, math.nan, 1.0]}))
    assert len(figure.find("svg/polyline").get("points").split()) == 2
    assert [td.text for td in figure.findall("details//td")] == ["3", "–", "1"]


def test_hours_stand_at_every_third():
    figure = parsed(lines(AXES, range(24), {"searches": [1] * 24}, every=3))
    assert [text.text for text in ticks_below(figure)] == ["0", "3", "6", "9", "12", "15", "18", "21"]


@given(st.dictionaries(texts, st.lists(st.tuples(st.integers(0, 10**6), values), max_size=600), max_size=4))
def test_curves_of_anything_stay_in_the_plane(series):
    series = {name: sorted(points, key=lambda point: point[0]) for name, points in series.items()}
    figure = parsed(curves(AXES, series, dict.fromkeys(series, 0)))
    for line in figure.findall("svg/polyline"):
        for point in line.get("points").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= WIDTH
            assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1
    require_apart(ticks_below(figure))


def test_a_long_curve_keeps_its_extremes_in_few_points():
    spiked = [(step, 1.0) for step in range(10_000)]
    spiked[5_003], spiked[7_001] = (5_003, 9.0), (7_001, -4.0)
    figure = parsed(curves(AXES, {"loss": spiked}, {"loss": 0}))
    heights = [float(point.split(",")[1]) for point in figure.find("svg/polyline").get("points").split()]
    assert len(heights) <= 260
    plane = {round(height) for height in heights}
    assert len(plane) == 3
    assert [td.text for td in figure.findall("details//td")] == ["1 at 0", "1 at 9,999", "−4 at 7,001", "9 at 5,003"]


def test_a_curve_need_not_begin_at_zero_and_is_drawn_at_its_own_places():
    figure = parsed(curves(AXES, {"a": [(0, 7.0), (100, 6.5)], "b": [(50, 6.8)]}, {"a": 2, "b": None}))
    labels = [text.text for text in figure.findall("svg/text") if text.get("text-anchor") == "end"]
    assert "0" not in labels
    assert [mark.get("class") for mark in figure.findall("svg/circle")] == ["c2", "c2", "grey"]
    assert "a: from 7 to 6.5." in figure.find("svg/desc").text


def test_bands_lie_around_their_line_in_its_colour():
    figure = parsed(
        lines(AXES, [5, 10], {"a": [0.2, 0.4]}, hues={"a": 3}, bands={"a": [(0.1, 0.3), (math.nan, math.nan)]})
    )
    assert figure.find("svg/polygon").get("class") == figure.find("svg/polyline").get("class") == "c3 odd"
    assert len(figure.find("svg/polygon").get("points").split()) == 2
    assert [text.text for text in ticks_below(figure)] == ["5", "10"]
