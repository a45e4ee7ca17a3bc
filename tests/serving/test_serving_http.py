"""A real server over real connections: what it answers, refuses, survives and finishes."""

import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from serving_toy import TOKENS, Server, running

from recsys.__main__ import main
from recsys.recommender import Recommender
from recsys.serving.limits import BODY


@pytest.fixture(scope="module")
def recommender(checkpoint: Path) -> Recommender:
    return Recommender.from_pretrained(checkpoint)


def test_it_answers_what_the_recommender_says_with_titles(server: Server, recommender: Recommender) -> None:
    status, answer = server.recommend(history=["n3", "n1"], queries=["é 猫"], k=5)
    expected = recommender.recommend(["n3", "n1"], ["é 猫"], k=5)
    assert status == 200
    assert [item["item_id"] for item in answer["items"]] == expected.item_ids
    assert [item["score"] for item in answer["items"]] == pytest.approx(expected.scores, abs=1e-5)
    names = {"n7": "<img src=x onerror=alert(1)> Zhao", "n40": None}
    assert [i["title"] for i in answer["items"]] == [names.get(i, f"Film {i[1:]}") for i in expected.item_ids]
    assert (answer["unknown"], answer["reason"], answer["ignored_queries"]) == ([], "model", False)


def test_numbers_are_as_good_as_ids(server: Server) -> None:
    assert server.recommend(history=["n1", 17])[1]["unknown"] == ["17"]


def test_nothing_to_go_by_is_answered_and_said(server: Server) -> None:
    status, answer = server.ask("/recommend", b"{}")
    assert status == 200
    assert answer["reason"] == "popularity"
    assert [item["item_id"] for item in answer["items"]] == TOKENS[:-11:-1]


def test_everybody_at_once_gets_their_own(server: Server, recommender: Recommender) -> None:
    asked = [{"history": [TOKENS[i % 40], TOKENS[i % 7]], "k": 1 + i % 9} for i in range(120)]
    batches = server.counts()["recsys_batch_size_count"]
    with ThreadPoolExecutor(24) as crowd:
        answers = list(crowd.map(lambda question: server.recommend(**question), asked))
    for question, (status, answer) in zip(asked, answers, strict=True):
        expected = recommender.recommend(**question)
        assert status == 200
        assert [item["item_id"] for item in answer["items"]] == expected.item_ids
    assert server.counts()["recsys_batch_size_count"] - batches <= 120


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/recommend", b"{", 422, "The body is not JSON"),
        ("/recommend", b"", 422, 'The body must be a JSON object such as {"history"'),
        ("/recommend", b"[]", 422, 'The body must be a JSON object such as {"history"'),
        ("/recommend", b"\xff\xfe{}", 422, "The body is not JSON"),
        ("/recommend", {"hisotry": ["n1"]}, 422, "No field 'hisotry'. Did you mean 'history'?"),
        ("/recommend", {"history": "n1"}, 422, "history: "),
        ("/recommend", {"history": [["n1"]]}, 422, "history.0: "),
        ("/recommend", {"history": ["n1"] * 10_001}, 422, "history: List should have at most 10000 items"),
        ("/recommend", {"queries": ["x" * 1001]}, 422, "queries.0: String should have at most 1000 characters"),
        ("/recommend", {"k": 0}, 422, "k: "),
        ("/recommend", {"k": 1001}, 422, "k: "),
        ("/recommend", b'{"now": NaN}', 422, "now: "),
        ("/recommend", {"now": 1}, 422, "now says something only beside timestamps"),
        ("/recommend", {"history": ["n1", "n2"], "timestamps": [1]}, 422, "1 timestamps for 2 items"),
        ("/recommend", {"history": ["n1", "n2"], "timestamps": [2, 1]}, 422, "in ascending order"),
        ("/recommend", {"history": ["x"], "unknown": "raise"}, 422, "unknown to the model, the first is 'x'"),
        ("/recommend", {"history": ["x"], "unknown": "keep"}, 422, "unknown: "),
        ("/recommend", b" " * (BODY + 1), 413, "1,048,576 bytes"),
        ("/recommend", None, 405, "No GET at /recommend, but POST."),
        ("/items?limit=0", None, 422, "limit: "),
        ("/items", b"{}", 405, "No POST at /items, but GET."),
        ("/docs", None, 404, "Nothing at /docs: there are /recommend, /items, /health, /metrics and /."),
        ("/page/../app.py", None, 404, "Nothing at /page/../app.py"),
    ],
)
def test_bad_requests_are_refused_with_a_reason(
    server: Server, path: str, body: Any, status: int, sentence: str
) -> None:
    found, answer = server.ask(path, body)
    assert (found, list(answer)) == (status, ["detail"])
    assert sentence in answer["detail"]
    assert server.recommend(history=["n1"])[0] == 200


def test_a_body_that_does_not_come_is_not_waited_for(server: Server) -> None:
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"The body of the request was not here within 2 seconds." in answer


def test_a_client_that_goes_takes_nobody_with_it(server: Server) -> None:
    host, port = server.address.removeprefix("http://").split(":")
    for part in (b"POST /recomm", b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(part)
    assert server.recommend(history=["n1"])[0] == 200


def test_items_by_title_and_by_id(server: Server) -> None:
    status, found = server.ask("/items?text=film+1&limit=3")
    assert status == 200
    assert [item["item_id"] for item in found["items"]] == ["n19", "n18", "n17"]
    assert found["total"] == 11
    named = server.ask("/items?id=n2&id=n40&id=x")[1]["items"]
    assert [(item["item_id"], item["title"], item["popularity"]) for item in named] == [
        ("n2", "Film 2", 2),
        ("n40", None, 40),
    ]


def test_health_says_what_is_served(server: Server) -> None:
    assert server.ask("/health") == (
        200,
        {
            "status": "ok",
            "model": "SearchSASRec",
            "items": 40,
            "titles": True,
            "reads_queries": True,
            "metrics": {"test/mrr": 0.5},
        },
    )


def test_requests_are_counted(server: Server) -> None:
    name = 'recsys_requests_total{path="/recommend",status="%d"}'
    before = server.counts()
    server.recommend(history=["n1", "strange"])
    server.recommend(k=0)
    after = server.counts()
    assert after[name % 200] - before[name % 200] == 1
    assert after[name % 422] - before.get(name % 422, 0) == 1
    assert after["recsys_unknown_items_total"] - before["recsys_unknown_items_total"] == 1
    assert after["recsys_workers"] == 1


def test_its_description_names_every_path_and_its_types(server: Server) -> None:
    described = server.ask("/openapi.json")[1]
    assert set(described["paths"]) == {"/recommend", "/items", "/health", "/metrics"}
    assert described["components"]["schemas"]["Question"]["properties"]["k"]["maximum"] == 1000


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["nowhere"], "nowhere"),
        (["{checkpoint}", "--items", "nowhere.item"], "nowhere.item: no such atomic file."),
        (["{checkpoint}", "--port", "{taken}"], "cannot listen there"),
        (["{checkpoint}", "--port", "70000"], "--port 70000: cannot listen there"),
        (["{checkpoint}", "--workers", "0"], "--workers 0: must be at least 1."),
        (["{checkpoint}", "--seconds", "0"], "--seconds 0"),
        (["{checkpoint}", "--device", "abacus"], "--device abacus: nothing to compute on here"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_is(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], args: list[str], sentence: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = {"checkpoint": checkpoint, "taken": taken.getsockname()[1]}
        assert main(["serve", *(arg.format(**known) for arg in args)]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("recsys: error: ")
    assert shown.count("\n") == 1
    assert sentence in shown


def test_without_the_extra_it_says_what_to_install(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("recsys.serving.server", "recsys.serving.app"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["serve", str(checkpoint)]) == 2
    assert capsys.readouterr().err == "recsys: error: fastapi is missing: pip install 'recsys-zoo[serve]'\n"


LONG = {"history": TOKENS[:8], "queries": [f"query {i}" for i in range(20)], "k": 30, "explain": True}
"""A question that keeps a server busy for a moment: its answer takes twenty passes."""


def ended(server: Server, crowd: int) -> None:
    """Told to end while it answers, it answers everything that it has accepted, and nobody can connect any more."""
    connections = [server.connect() for _ in range(crowd)]
    for connection in connections:
        assert server.ask("/health", connection=connection)[0] == 200
    begun = server.counts()["recsys_batch_size_count"]
    with ThreadPoolExecutor(crowd) as pool:
        answers = [pool.submit(server.ask, "/recommend", LONG, each) for each in connections]
        while server.counts()["recsys_batch_size_count"] == begun:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        assert [answer.result()[0] for answer in answers] == [200] * crowd
    assert server.process.wait(60) == 0
    with pytest.raises(ConnectionRefusedError):
        server.ask("/health")


def test_told_to_end_it_answers_everything_that_it_has_accepted(plain: Path) -> None:
    with running(str(plain), "--seconds", "60", "--batch", "2") as server:
        status, answer = server.recommend(history=["n1"], queries=["é"])
        assert (status, answer["ignored_queries"], answer["items"][0]["title"]) == (200, True, None)
        ended(server, 12)


def test_several_workers_share_a_port_and_their_counts_and_end_in_order(checkpoint: Path) -> None:
    with running(str(checkpoint), "--workers", "2", "--seconds", "60") as server:
        until(server, workers=2)
        for _ in range(8):
            assert server.recommend(history=["n1"])[0] == 200
        assert server.counts()['recsys_requests_total{path="/recommend",status="200"}'] == 8
        ended(server, 12)


def until(server: Server, workers: int) -> None:
    end = time.monotonic() + 120
    while server.counts()["recsys_workers"] != workers:
        assert time.monotonic() < end
        time.sleep(0.05)
