import re
from xml.etree import ElementTree

import pytest

from recsys.page import (
    Share,
    band,
    banner,
    card,
    contents,
    details,
    document,
    estimate,
    facts,
    footer,
    grid,
    halves,
    lead,
    link,
    named,
    paragraph,
    quiet,
    section,
    table,
    tiles,
    titled,
    verbatim,
)
from recsys.page.style import COLOURS, CSS

HOSTILE = "</title><script>alert(1)</script><img src=x onerror='alert(1)'>\"&"


def colours(css):
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", css))


LIGHT = colours(CSS.partition("@media")[0])
DARK = LIGHT | colours(CSS.partition("@media")[2].partition("* {")[0])


def test_every_text_is_escaped():
    page = document(
        HOSTILE,
        section(HOSTILE, paragraph(HOSTILE), banner(HOSTILE, HOSTILE), tiles({HOSTILE: HOSTILE})),
        facts([(HOSTILE, HOSTILE)]),
        table([HOSTILE, HOSTILE], [[HOSTILE, HOSTILE]], HOSTILE),
        details(HOSTILE, grid()),
        band(HOSTILE, lead(HOSTILE), contents({HOSTILE: HOSTILE}), anchor=HOSTILE),
        card(
            HOSTILE, named(HOSTILE, HOSTILE, None, HOSTILE, HOSTILE), halves(titled(HOSTILE, HOSTILE), quiet(HOSTILE))
        ),
        table([HOSTILE], [[link(HOSTILE, HOSTILE)]], stacked=True),
        footer(HOSTILE),
        verbatim(HOSTILE),
    )
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") == 36  # the title twice: in the window and on the page


def test_a_page_needs_nothing_from_elsewhere():
    page = document("t", paragraph("p"))
    assert not re.search(r"https?:|//|src=|url\(|@import|<script", page)
    assert "default-src 'none'" in page


def test_a_table_names_its_rows_and_aligns_numbers():
    box = ElementTree.fromstring(table(["What", "Number"], [["a", 1200], ["b", Share(0.5)]]))
    assert [th.text for th in box.findall(".//tbody/tr/th")] == ["a", "b"]
    assert [td.text for td in box.findall(".//td[@class='n']")] == ["1,200", "50.0\u202f%"]
    assert [th.get("class") for th in box.findall(".//thead//th")] == [None, "n"]


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast_is_enough_to_read(theme):
    """WCAG 2.2: 4.5 for text, 3 for what is drawn."""
    for text, ground in [("ink", "ground"), ("ink", "sheet"), ("soft", "ground"), ("soft", "sheet")]:
        assert contrast(theme[f"--{text}"], theme[f"--{ground}"]) >= 4.5
    assert contrast(theme["--loud"], theme["--loud-ground"]) >= 4.5
    for hue in range(COLOURS):
        assert contrast(theme[f"--hue{hue}"], theme["--sheet"]) >= 3


def test_both_themes_name_the_same_colours():
    assert LIGHT.keys() == DARK.keys()
    assert all(LIGHT[name] != DARK[name] for name in LIGHT)


def test_paper_is_light():
    assert "@media screen and (prefers-color-scheme: dark)" in CSS


def test_markup_in_a_table_stays_markup_and_estimates_stand_to_the_right():
    box = ElementTree.fromstring(table(["Run", "ndcg"], [[named("a", hue=0), estimate(0.25, 0.2, 0.3)]]))
    assert box.find(".//th/span[@class='named']") is not None
    assert box.find(".//td").get("class") == "n"
    assert box.find(".//td").text == "0.2500"
    assert box.find(".//td/small").text == "[0.2000, 0.3000]"


def test_an_estimate_without_an_interval():
    nan = float("nan")
    assert estimate(-0.25, nan, nan, signed=True) == "\u22120.2500"
    assert estimate(nan, nan, nan) == "–"


def test_a_stacked_table_names_each_cell_for_the_phone():
    box = ElementTree.fromstring(table(["Run", "", "p"], [["a", "x", "y"]], stacked=True))
    assert [(td.get("data-name"), td.get("class")) for td in box.findall(".//td")] == [(None, "bare"), ("p", None)]


def test_links_lead_to_places_that_are_there():
    page = document("t", contents({"part": "Part"}), section("Part", card("run", quiet("r")), anchor="part"))
    assert {'id="part"', 'href="#part"', 'id="run"'} <= set(re.findall(r'(?:id|href)="[^"]+"', page))
