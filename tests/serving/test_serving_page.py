"""The page in a real browser, used as people use it: with a mouse, with the keyboard alone, on a phone, in the dark."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import PROGRAM, Chromium
from person import Person
from serving_toy import Server

from recsys.recommender import Recommender

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def visit(browser: Chromium, server: Server) -> Callable[..., Person]:
    """Somebody on the page, which has introduced itself."""

    def open_page(width: int = 1000, dark: bool = False, asked: str = "") -> Person:
        person = Person(browser.open(f"{server.address}/{asked}", width, dark=dark))
        person.until("document.getElementById('about').textContent.includes('knows 40 items')")
        return person

    return open_page


RANKED = "[...document.querySelectorAll('#%s .title')].map(title => title.firstChild.textContent)"


def ranked(person: Person, section: str) -> list[str]:
    return person.tab.evaluate(RANKED % section)


def titles(recommender: Recommender, **asked: Any) -> list[str]:
    """What the library recommends, by the titles of the toy."""
    named = {"n7": "<img src=x onerror=alert(1)> Zhao", "n40": "n40"}
    return [named.get(i, f"Film {i[1:]}") for i in recommender.recommend(**asked).item_ids]


@pytest.fixture(scope="module")
def recommender(checkpoint: Path) -> Recommender:
    return Recommender.from_pretrained(checkpoint)


def test_ids_and_queries_are_typed_and_titles_come(visit: Callable[..., Person], recommender: Recommender) -> None:
    person = visit()
    person.click("#history")
    person.type("n3, n1 nobody")
    person.until("document.querySelectorAll('#clicked li').length == 3")
    assert person.reads("#clicked").split("\n") == ["Film 3", "Film 1", "nobody: unknown to the model"]
    person.click("#queries")
    person.type("red shoes")
    person.press("Enter")
    person.type("猫")
    person.click("#ask button:not([type])")
    person.until("document.querySelectorAll('#with li, #without li').length == 20")
    assert ranked(person, "with") == titles(recommender, history=["n3", "n1"], queries=["red shoes", "猫"])
    assert ranked(person, "without") == titles(recommender, history=["n3", "n1"])
    assert person.reads("#with .note") == "Unknown to the model: nobody."
    assert "the queries changed" in person.reads("#status")
    assert person.tab.complaints == []


def test_what_explains_an_item_adds_up_to_its_score(visit: Callable[..., Person]) -> None:
    person = visit(asked="?history=n3,n1&query=red+shoes&query=cat&k=5")
    person.until("document.querySelectorAll('#with li').length == 5")
    person.click("#with summary")
    person.until("document.querySelector('#with details').open")
    rows = person.tab.evaluate(
        "[...document.querySelectorAll('#with details')[0].querySelectorAll('tr')].map(r => "
        "[...r.cells].slice(0, 2).map(c => c.textContent))"
    )
    names = [row[0] for row in rows]
    assert names[:5] == [
        "History and queries",
        "the history",
        "the queries together",
        "“red shoes” beside the others",
        "“cat” beside the others",
    ]
    numbers = {row[0]: float(row[1].replace("−", "-")) for row in rows if len(row) == 2}
    score = float(person.reads("#with .score").replace("−", "-"))
    assert numbers["the history"] + numbers["the queries together"] == pytest.approx(score, abs=0.002)
    assert numbers["the item's own vector"] == pytest.approx(score, abs=0.002)


def test_the_keyboard_alone_is_enough(visit: Callable[..., Person], recommender: Recommender) -> None:
    person = visit()
    person.press("Tab")
    assert person.tab.evaluate("document.activeElement.id") == "history"
    person.type("n3")
    person.press("Tab")
    person.type("zhao")  # find an item by its title ...
    person.until("document.querySelectorAll('#matches button').length == 1")
    person.press("Enter", "Tab", "Enter")  # ... on Enter nothing happens yet; the match is next
    person.until("document.querySelectorAll('#clicked li').length == 2")
    assert person.reads("#clicked") == "Film 3\n<img src=x onerror=alert(1)> Zhao"
    assert person.tab.evaluate("document.activeElement.id") == "find"
    person.press("Tab")
    assert person.tab.evaluate("document.activeElement.id") == "queries"
    person.type("cat")
    person.press("Tab", "Tab", " ", "Tab", "Enter")  # past the number, seen items in, recommend
    person.until("document.querySelectorAll('#with li').length == 10")
    asked = {"history": ["n3", "n7"], "exclude_seen": False}
    assert ranked(person, "with") == titles(recommender, queries=["cat"], **asked)
    assert ranked(person, "without") == titles(recommender, **asked)
    person.press("Tab", "Enter")  # the first Why
    assert person.tab.evaluate("document.querySelector('#with details').open")
    ring = person.tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    assert person.tab.complaints == []


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_by_day_and_by_night(visit: Callable[..., Person], dark: bool) -> None:
    person = visit(width=390, dark=dark, asked="?history=n3,n1,n7&query=" + "x" * 120)
    person.until("document.querySelectorAll('#with li').length == 10")
    person.click("#with summary")
    assert person.tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    outside = person.tab.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 391).length"
    )
    assert outside == 0
    ground = person.tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 23, 27)" if dark else "rgb(247, 247, 245)")


def test_what_was_asked_is_in_the_address(visit: Callable[..., Person]) -> None:
    person = visit()
    person.click("#history")
    person.type("n3,n1")
    person.press("Enter")
    person.until("document.querySelectorAll('#without li').length == 10")
    assert person.reads("#without-title") == "Recommended"
    shown = ranked(person, "without")
    address = person.tab.evaluate("location.search")
    again = visit(asked=address)
    again.until("document.querySelectorAll('#without li').length == 10")
    assert ranked(again, "without") == shown
    assert again.tab.evaluate("document.getElementById('history').value") == "n3, n1"


def test_what_is_wrong_is_said_on_the_page(visit: Callable[..., Person]) -> None:
    person = visit(asked="?history=n1&k=2000")
    person.until("document.getElementById('status').className == 'wrong'")
    assert person.reads("#status") == "k: Input should be less than or equal to 1000."


def test_nothing_comes_from_elsewhere(visit: Callable[..., Person], server: Server) -> None:
    person = visit(asked="?history=n3&query=cat")
    person.until("document.querySelectorAll('#with li').length == 10")
    assert all(address.startswith((server.address, "data:")) for address in person.tab.requests)
    assert len(person.tab.requests) >= 5
