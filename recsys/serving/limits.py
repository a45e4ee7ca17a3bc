"""What a request may weigh and how long it may take: numbers, and the gate in front of the application."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

HISTORY = 10_000
"""Items of a history."""
QUERIES = 100
"""Queries of a request."""
CHARACTERS = 1_000
"""Characters of an id or of a query."""
K = 1_000
"""Items of an answer."""
BODY = 1 << 20
"""Bytes of a request's body."""
LINGER = 2.0
"""Seconds for which a refused body is read on, so that its sender gets to see why."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Limits:
    """What depends on the machine rather than on good manners.

    Attributes:
        seconds: for which a request may wait for its body, and then again for its answer.
        batch: requests that go through the model together.
        waiting: requests that may wait for a batch; those beyond are told to come back.
    """

    seconds: float = 10.0
    batch: int = 64
    waiting: int = 1024


class Refused(Exception):
    """A body that is not read to its end."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Gate:
    """Takes in a whole body, within `BODY` bytes and the time there is, before the application hears of its request."""

    def __init__(self, app: App, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(_whole(scope, receive), self._seconds)
        except Refused as refused:
            await _refuse(refused, receive, send)
            return
        except asyncio.TimeoutError:
            late = Refused(408, f"The body of the request was not here within {self._seconds:g} seconds.")
            await _refuse(late, receive, send)
            return
        if body is None:
            return
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Message:
            return next(parts, None) or await receive()

        await self._app(scope, replay, send)


async def _whole(scope: Scope, receive: Receive) -> bytes | None:
    """The body of a request; None when its client has gone."""
    too_large = Refused(413, f"The body of a request may have {BODY:,} bytes.")
    if int(dict(scope["headers"]).get(b"content-length", 0)) > BODY:
        raise too_large
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY:
            raise too_large
    return bytes(body)


async def _refuse(refused: Refused, receive: Receive, send: Send) -> None:
    """Answer first, then read on for a while: a connection closed upon unread bytes may lose the answer."""
    content = json.dumps({"detail": refused.detail}).encode()
    length = str(len(content)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": True})

    async def drain() -> None:
        while (await receive()).get("more_body", False):
            pass

    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(drain(), LINGER)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
