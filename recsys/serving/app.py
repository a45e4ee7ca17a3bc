"""The application: what is asked at which path, who answers it, and what is said when nobody can."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from recsys import __version__
from recsys.errors import InputError, did_you_mean
from recsys.page.style import CSS
from recsys.serving.batching import Batcher, Busy
from recsys.serving.limits import CHARACTERS, HISTORY, App, Gate, K, Limits, Message, Receive, Scope, Send
from recsys.serving.metrics import Counts
from recsys.serving.schema import Answer, Health, ItemId, Items, Problem, Question
from recsys.serving.service import Service

PAGE = Path(__file__).parent / "page"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:"
PROBLEMS: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (408, 413, 422, 500, 503)}


def application(load: Callable[[], Service], folder: Path, limits: Limits) -> FastAPI:
    """The application of one worker.

    Args:
        load: Called once, before the first request is taken.
        folder: Where all workers count.
        limits: What a request may take.
    """
    state: dict[str, Any] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service = load()
        state["service"] = service
        state["counts"] = counts = Counts(folder)
        state["batcher"] = Batcher(service.answer, limits.batch, limits.waiting, counts.batch)
        yield

    app = FastAPI(
        title="recsys",
        version=__version__,
        description="Recommendations for anyone, from a history of item ids and queries.",
        lifespan=lifespan,
        docs_url=None,  # both pages of FastAPI's load scripts from elsewhere; /openapi.json is here
        redoc_url=None,
        responses=PROBLEMS,
    )
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(InputError, _unanswerable)
    app.add_exception_handler(HTTPException, _elsewhere)
    app.add_exception_handler(Busy, _busy)
    app.add_exception_handler(asyncio.TimeoutError, _late)
    app.add_exception_handler(Exception, _broken)

    @app.post("/recommend")
    async def recommend(question: Question) -> Answer:
        """What comes next for someone who clicked `history` and then typed `queries`."""
        answer: Answer = await asyncio.wait_for(state["batcher"].ask(question), limits.seconds)
        state["counts"].answer(len(answer.unknown), answer.reason)
        return answer

    @app.get("/items")
    def items(
        text: Annotated[str, Query(max_length=CHARACTERS)] = "",
        id: Annotated[list[ItemId] | None, Query(max_length=HISTORY)] = None,
        limit: Annotated[int, Query(ge=1, le=K)] = 20,
    ) -> Items:
        """The items with these ids, or the most popular ones with this text in their title or id."""
        catalogue = state["service"].catalogue
        return catalogue.named(id) if id is not None else catalogue.found(text, limit)

    @app.get("/health")
    async def health() -> Health:
        """Whether there is anybody to answer, and what is being served."""
        return state["service"].health

    @app.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Counts of all workers, for Prometheus."""
        return Response(state["counts"].text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": POLICY})

    @app.get("/page.js", include_in_schema=False)
    async def script() -> FileResponse:
        return FileResponse(PAGE / "page.js", media_type="text/javascript")

    @app.get("/page.css", include_in_schema=False)
    async def style() -> Response:
        return Response(CSS + (PAGE / "page.css").read_text("utf-8"), media_type="text/css")

    app.add_middleware(Gate, seconds=limits.seconds)
    app.add_middleware(_Counted, state=state)
    return app


class _Counted:
    """Outermost: every answer is counted, those that were refused too."""

    def __init__(self, app: App, state: dict[str, Any]) -> None:
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 499  # the client has gone before there was an answer

        async def counted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            self._state["counts"].request(scope["path"], status, time.perf_counter() - begun)


def _problem(status: int, detail: str, **headers: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query")]
    if first["type"] == "json_invalid":
        return _problem(422, f"The body is not JSON: {first['ctx']['error']}.")
    if first["type"] == "extra_forbidden":
        return _problem(422, f"No field {place[-1]!r}.{did_you_mean(place[-1], Question.model_fields)}")
    if not place:
        example = '{"history": ["17", "42"], "k": 10}'
        return _problem(
            422, f"The body must be a JSON object such as {example}, and Content-Type say application/json."
        )
    return _problem(422, f"{'.'.join(place)}: {first['msg']}.")


async def _elsewhere(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _problem(404, f"Nothing at {request.url.path}: there are /recommend, /items, /health, /metrics and /.")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return _problem(405, f"No {request.method} at {request.url.path}, but {allowed}.", Allow=allowed)
    return _problem(error.status_code, error.detail)


async def _unanswerable(_: Request, error: Exception) -> Response:
    return _problem(422, str(error))


async def _busy(_: Request, error: Exception) -> Response:
    return _problem(503, "Too many requests are waiting: come back in a second.", **{"Retry-After": "1"})


async def _late(_: Request, error: Exception) -> Response:
    return _problem(503, "The answer took too long: come back later.", **{"Retry-After": "1"})


async def _broken(_: Request, error: Exception) -> Response:
    return _problem(500, "The server failed at this; its log says how.")
