import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.page import Axes, Point, intervals, points, strip
from recsys.page.plane import BOTTOM, HEIGHT, TOP, WIDTH

AXES = Axes("Accuracy", "coverage@10", "ndcg@10")
finite = st.floats(-1e9, 1e9)
unknown = st.sampled_from([math.nan, math.inf])
texts = st.text(st.characters(exclude_categories=["C"]), max_size=20)


@st.composite
def estimates(draw):
    low, mean, high = sorted(draw(st.tuples(finite, finite, finite)))
    return draw(st.sampled_from([(mean, low, high), (mean, math.nan, math.nan), (math.nan, math.nan, math.nan)]))


def parsed(figure):
    return ElementTree.fromstring(figure)


def texts_of(figure):
    return [text.text for text in figure.findall("svg/text")]


@given(
    st.dictionaries(
        texts, st.builds(Point, finite | unknown, estimates(), st.none() | st.integers(0, 9), st.booleans()), max_size=9
    )
)
def test_points_of_anything_stay_in_the_plane(named):
    figure = parsed(points(AXES, named))
    drawn = figure.findall("svg/circle")
    assert len(drawn) == sum(math.isfinite(point.x + point.y[0]) for point in named.values())
    for mark in drawn:
        assert 0 <= float(mark.get("cx")) <= WIDTH
        assert TOP - 0.1 <= float(mark.get("cy")) <= HEIGHT - BOTTOM + 0.1


@given(
    st.dictionaries(texts, st.dictionaries(st.sampled_from("abc"), estimates(), max_size=3), max_size=6), st.booleans()
)
def test_intervals_of_anything_stay_in_the_picture(rows, apart):
    figure = parsed(intervals(AXES, rows, {"a": 0, "b": 1, "c": None}, apart=apart))
    height = float(figure.find("svg").get("viewBox").split()[3])
    drawn = figure.findall("svg/circle")
    assert len(drawn) == sum(math.isfinite(e[0]) for lanes in rows.values() for e in lanes.values())
    for mark in drawn:
        assert 0 <= float(mark.get("cx")) <= WIDTH
        assert 0 <= float(mark.get("cy")) <= height - BOTTOM
    for line in figure.findall("svg/line"):
        assert 0 <= float(line.get("x1")) <= WIDTH
        assert 0 <= float(line.get("x2")) <= WIDTH


def test_only_what_shall_be_named_is_named_beside_its_point():
    figure = parsed(
        points(AXES, {"ours": Point(0.2, (0.3, 0.2, 0.4), 0), "popularity": Point(0.1, (0.1, 0.1, 0.1), named=True)})
    )
    legend = [item.find("span").tail for item in figure.findall("figcaption/ul/li")]
    assert legend == []  # one alone needs none
    assert "popularity" in texts_of(figure)
    assert "ours" not in texts_of(figure)
    assert figure.find("svg/desc").text == "Scatter plot: ndcg@10, by coverage@10. ours is highest."


def test_names_of_points_that_coincide_do_not_cover_each_other():
    alike = {
        name: Point(0.5, (0.1, 0.1, 0.1), named=True)
        for name in ("popularity", "recent", "chance", "position", "ceiling")
    }
    figure = parsed(points(AXES, alike))
    boxes = [
        (float(text.get("x")), len(text.text) * 7 / 2, float(text.get("y")))
        for text in figure.findall("svg/text")
        if text.text in alike
    ]
    assert boxes
    for i, (x, half, y) in enumerate(boxes):
        assert all(abs(x - other) >= half + wide or abs(y - down) >= 12 for other, wide, down in boxes[:i])


def test_a_difference_is_drawn_on_its_side_of_zero():
    rows = {"better": {"better": (0.2, 0.1, 0.3)}, "worse": {"worse": (-0.2, -0.3, -0.1)}}
    figure = parsed(intervals(AXES, rows, {"better": 0, "worse": 1}, apart=True))
    zero = float(figure.find("svg/line[@class='axis']").get("x1"))
    left, right = sorted(float(mark.get("cx")) for mark in figure.findall("svg/circle"))
    assert left < zero < right
    assert zero - left == pytest.approx(right - zero, abs=0.2)
    assert figure.findall("figcaption/ul/li") == []  # each row is its own name


def test_intervals_say_in_words_and_numbers_what_they_draw():
    rows = {"all": {"a": (0.2, 0.1, 0.3), "b": (0.1, math.nan, math.nan)}, "few": {"a": (0.4, 0.2, 0.6)}}
    figure = parsed(intervals(AXES, rows, {"a": 0, "b": 1}))
    assert "all: a 0.2000 [0.1000, 0.3000]. few: a 0.4000 [0.2000, 0.6000]." in figure.find("svg/desc").text
    assert [td.text for td in figure.findall("details//td")] == [
        "0.2000 [0.1000, 0.3000]",
        "0.1000",
        "0.4000 [0.2000, 0.6000]",
        "–",
    ]


def test_a_strip_says_what_it_draws_and_keeps_within_itself():
    drawing = ElementTree.fromstring(strip((0.5, 0.4, 2.0), 0, 1, 0, 0.1))
    assert drawing.find("title").text == "0.5000 [0.4000, 2.0000]"
    xs = [float(line.get(end)) for line in drawing.findall("line") for end in ("x1", "x2")]
    assert min(xs) >= 0
    assert max(xs) <= 160


@pytest.mark.parametrize("figure", [points(AXES, {}), intervals(AXES, {}, {}), intervals(AXES, {"a": {}}, {})])
def test_an_empty_plot_says_so(figure):
    assert "No data." in parsed(figure).find("svg/desc").text
