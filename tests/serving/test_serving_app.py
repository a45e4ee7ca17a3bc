"""What the application says when a service is slow, overrun or broken: a real one, whose answers are held back."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from json import dumps, loads
from pathlib import Path
from typing import Any

import pytest

from recsys.serving.app import application
from recsys.serving.limits import Limits
from recsys.serving.service import Service


class Held:
    """Holds a service's answers back until it is let go; fails once if it is told how."""

    def __init__(self, service: Service) -> None:
        self.go, self.failure = threading.Event(), ""
        self._answer = service.answer
        service.answer = self  # type: ignore[method-assign]

    def __call__(self, questions: Any) -> Any:
        assert self.go.wait(60)
        failure, self.failure = self.failure, ""
        if failure:
            raise RuntimeError(failure)
        return self._answer(questions)


async def ask(app: Any, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    """Status, headers and content of a request for recommendations, without a socket."""
    parts = iter([{"type": "http.request", "body": dumps(body).encode()}])
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return next(parts, None) or await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/recommend", "query_string": b"", "http_version": "1.1"}
    scope |= {"headers": [(b"content-type", b"application/json")], "scheme": "http", "server": ("x", 80)}
    with suppress(RuntimeError):  # raised again behind the answer, for the server's log
        await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, loads(b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.fixture
def served(plain: Path, tmp_path: Path) -> Callable[..., Any]:
    """Run a conversation with an application."""

    def run(talk: Callable[[Any, Held], Any], **limits: Any) -> Any:
        service = Service.load(str(plain))
        held = Held(service)
        app = application(lambda: service, tmp_path, Limits(**limits))

        async def conversation() -> Any:
            async with app.router.lifespan_context(app):
                return await talk(app, held)

        return asyncio.run(conversation())

    return run


def test_an_answer_that_takes_too_long_is_given_up(served: Callable[..., Any]) -> None:
    async def talk(app: Any, held: Held) -> Any:
        late = await ask(app, {})
        held.go.set()
        return late, await ask(app, {})

    (status, headers, content), (after, _, _) = served(talk, seconds=1.0)
    assert (status, headers["retry-after"]) == (503, "1")
    assert content == {"detail": "The answer took too long: come back later."}
    assert after == 200


def test_more_than_may_wait_are_told_to_come_back(served: Callable[..., Any]) -> None:
    async def talk(app: Any, held: Held) -> Any:
        asked = [asyncio.create_task(ask(app, {})) for _ in range(3)]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        held.go.set()
        return [task.result() for task in done], [(await task)[0] for task in asked]

    refused, all_of_them = served(talk, waiting=1)
    assert [(status, content) for status, _, content in refused] == [
        (503, {"detail": "Too many requests are waiting: come back in a second."})
    ] * len(refused)
    assert refused
    assert all_of_them.count(200) == 3 - len(refused)


def test_a_service_that_fails_says_so_and_goes_on(served: Callable[..., Any]) -> None:
    async def talk(app: Any, held: Held) -> Any:
        held.failure = "secret of the house"
        held.go.set()
        return await ask(app, {}), await ask(app, {})

    (status, _, content), (after, _, _) = served(talk)
    assert (status, content) == (500, {"detail": "The server failed at this; its log says how."})
    assert after == 200
