"""A server on loopback that answers what wandb's own client asks when it lists the runs of a project."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VIEWER = {"id": "1", "entity": "e", "username": "u", "email": "", "flags": "{}", "teams": {"edges": []}}


def node(name: str, config: dict[str, Any], summary: dict[str, Any], state: str = "finished") -> dict[str, Any]:
    """One run as the server has it."""
    return {
        "id": f"id-{name}",
        "name": f"id-{name}",
        "displayName": name,
        "projectId": "1",
        "state": state,
        "config": json.dumps({key: {"value": value} for key, value in config.items()}),
        "summaryMetrics": json.dumps(summary),
        "systemMetrics": "{}",
        "tags": [],
        "sweepName": None,
        "group": None,
        "jobType": None,
        "commit": None,
        "readOnly": False,
        "createdAt": "2026-01-02T03:04:05Z",
        "heartbeatAt": "2026-01-02T03:04:05Z",
        "description": "",
        "notes": None,
        "historyLineCount": 1,
        "historyKeys": None,
        "user": {"name": "u", "username": "u"},
    }


@contextmanager
def serving(runs: list[dict[str, Any]], status: int = 200, delay: float = 0.0) -> Iterator[tuple[str, list[str]]]:
    """Address of a server with one project, e/p, and the operations that it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {})

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/graphql":  # what the client tells of itself
                return self._answer(200, {})
            body = json.loads(sent)
            operation = re.search(r"(?:query|mutation)\s+(\w+)", body["query"])
            assert operation is not None
            asked.append(operation.group(1))
            if operation.group(1) == "Runs":
                time.sleep(delay)
                self._answer(status, {"data": {"project": self._page(**body["variables"])}})
            else:
                self._answer(200, {"data": {"viewer": VIEWER}})

        def _page(self, cursor: str | None, perPage: int, project: str, **_: Any) -> dict[str, Any] | None:
            if project != "p":
                return None
            first = int(cursor or 0)
            shown = runs[first : first + perPage]
            last = first + len(shown)
            return {
                "internalId": "1",
                "runCount": len(runs),
                "readOnly": False,
                "runs": {
                    "edges": [{"node": each, "cursor": str(first + i)} for i, each in enumerate(shown)],
                    "pageInfo": {"endCursor": str(last), "hasNextPage": last < len(runs)},
                },
            }

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
