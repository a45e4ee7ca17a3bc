"""The oracle: a bound that holds, keeps what it promises, and vanishes with the influence that it measures."""

import json

import numpy as np
import pytest

from recsys.qilin import synthesize
from recsys.qilin.synthetic import learnable, oracle, published
from recsys.qilin.synthetic.belief import Chain, Searched, blind
from recsys.qilin.synthetic.learnable_oracle import LearnableKnowledge
from recsys.qilin.synthetic.log import EXPOSURE, Ragged, Requests, Streams
from recsys.qilin.synthetic.oracle import Chances
from recsys.qilin.synthetic.published_oracle import PublishedKnowledge

ROOMS = {"learnable": (learnable, LearnableKnowledge, 800), "published": (published, PublishedKnowledge, 0.15)}


def looked(world, influence):
    """Day, knowledge, test requests and their scores."""
    room, knowledge, size = ROOMS[world]
    day, drawn = room.day(size, influence, Streams.of(0))
    knows, rows = knowledge(drawn, influence), np.flatnonzero(day.latest)
    return day, knows, rows, oracle.scores(knows, day.rec.shown, rows)


@pytest.fixture(scope="module", params=ROOMS)
def steered(request):
    return looked(request.param, 0.6)


@pytest.mark.parametrize("world", ROOMS)
def test_without_influence_the_searches_are_worth_nothing(world):
    _, knows, rows, values = looked(world, 0.0)
    assert (knows.searched.subject[rows] >= 0).any()
    for name in values["with"]:
        np.testing.assert_array_equal(values["with"][name], values["without"][name])


def test_with_influence_they_are_worth_much_after_a_search_and_nothing_elsewhere(steered):
    _, knows, rows, values = steered
    after = knows.searched.subject[rows] >= 0
    for name in ("expected", "full", "exposed"):
        gain = values["with"][name] - values["without"][name]
        assert not gain[~after].any()
        assert gain[after].mean() > 0.03
    assert values["with"]["topic"][after].mean() > max(0.6, 0.2 + values["without"]["topic"][after].mean())
    assert np.isnan(values["with"]["topic"][~after]).all()


@pytest.mark.parametrize("sight", ["with", "without"])
def test_what_it_expects_is_what_happens(steered, sight):
    """Were its probabilities wrong, or its ranking fed the future, the drawn clicks would tell."""
    _, knows, rows, values = steered
    after = knows.searched.subject[rows] >= 0
    for chosen in (after, ~after):
        difference = (values[sight]["full"] - values[sight]["expected"])[chosen]
        assert abs(difference.mean()) < 3.5 * difference.std() / len(difference) ** 0.5


def test_the_first_topic_is_the_searched_one_as_often_as_it_says(steered):
    day, knows, rows, values = steered
    searched = rows[knows.searched.subject[rows] >= 0]
    first = knows.requests.clicked[np.searchsorted(knows.requests.clicked_by, searched)]
    hit = day.topic[first] == knows.requests.topic[searched]
    said = values["with"]["topic"][knows.searched.subject[rows] >= 0]
    assert abs((hit - said).mean()) < 3.5 * hit.std() / len(hit) ** 0.5


def test_no_other_order_is_expected_to_do_better(steered):
    """A ranker with a blurred view of the world falls short."""
    _, knows, rows, values = steered
    rng = np.random.default_rng(0)

    class Blurred:
        requests, searched, prior, cells = knows.requests, knows.searched, knows.prior, knows.cells

        def chances(self, some, belief, clicks):
            seen = knows.chances(some, belief, clicks)
            return Chances(seen.size, seen.click * rng.lognormal(0, 1.0, seen.click.shape), seen.shown, seen.first)

    blurred = oracle.scores(Blurred(), steered[0].rec.shown, rows)
    for name in ("full", "exposed"):
        assert blurred["with"][name].mean() < 0.97 * values["with"][name].mean()


def test_bayes_by_hand():
    """Two requests under one search: a click that is four times as likely under topic 1 turns even odds into 4 to 1."""
    requests = Requests(
        user=np.array([0, 0, 0]),
        start=np.array([10, 20, 30]),
        topic=np.array([1, 1, -1]),
        clicked_by=np.array([0, 1, 2]),
        clicked=np.array([5, 6, 7]),
    )
    chain = Chain.of((np.array([0]), np.array([-60]), np.array([3])), requests)
    assert chain.note.tolist() == [3, 5, 6, 7]
    assert chain.last(requests, np.array([0, 2])).tolist() == [0, 2]

    def evidence(click):
        return np.log(np.where(chain.note[click] == 5, [[1.0], [4.0]], 1.0).T)

    searched = Searched(np.array([9, 9, -1]), chain, evidence)
    belief = blind(searched, requests, np.arange(3), np.full((3, 2), 0.5))
    np.testing.assert_allclose(belief, [[0.5, 0.5], [0.2, 0.8], [0.0, 0.0]])


class Plain:
    """Two notes of one cell and one of another; request 0 got the first and the third clicked."""

    requests = Requests(np.zeros(1, int), np.zeros(1, int), np.array([-1]), np.array([0, 0]), np.array([0, 2]))
    searched = Searched(np.array([-1]), Chain.of((np.zeros(0, int),) * 3, requests), lambda click: np.zeros((0, 1)))

    def prior(self, rows):
        return np.ones((len(rows), 1))

    def cells(self, note):
        return np.array([0, 0, 1])[note]

    def chances(self, rows, belief, clicks):
        click = np.array([[0.4, 0.7, *[0.0] * 10]])
        return Chances(np.array([[2.0, 1.0, *[0.0] * 10]]), click, np.ones((1, 12)), np.ones((1, 1)))


def test_ndcg_by_hand_with_ties_in_every_order():
    shown = np.zeros(3, EXPOSURE)
    shown["note"], shown["click"] = [1, 2, 0], [0, 1, 1]
    (values,) = {json.dumps({k: v.tolist() for k, v in s.items() if k != "topic"}) for s in _plain(shown).values()}
    second, third = 1 / np.log2(3), 0.5
    ideal = 1 + second
    expected = (0.7 + 0.4 * (second + third)) / ideal
    full = (1 + (second + third) / 2) / ideal
    assert json.loads(values) == {
        "expected": [pytest.approx(expected)],
        "full": [pytest.approx(full)],
        "exposed": [pytest.approx(full)],
    }


def _plain(shown):
    return oracle.scores(Plain(), Ragged(shown, np.array([3])), np.array([0]))


def test_it_lies_beside_the_data_and_is_returned(tmp_path):
    reached = synthesize(tmp_path / "raw", users=60)
    assert json.loads((tmp_path / "raw" / "oracle.json").read_text(encoding="utf-8")) == reached
    assert reached["requests"]["all"] > reached["requests"]["after_search"] > 0
    assert reached["expected ndcg@10"]["all"].keys() == {"with", "without"}
    assert reached["searched topic next"].keys() == {"after_search"}
    lines = list(oracle.table(reached))
    assert len(lines) == 1 + 3 * 2 + 1
    assert f"{reached['ndcg@10']['all']['with']:.4f}" in lines[3]


def test_a_day_without_a_request_after_a_search_has_no_value_there(tmp_path):
    reached = synthesize(tmp_path / "raw", scale=0.001)
    assert reached["requests"]["after_search"] == 0
    assert reached["ndcg@10"]["after_search"] == {"with": None, "without": None}
    assert any(" -" in line for line in oracle.table(reached))
