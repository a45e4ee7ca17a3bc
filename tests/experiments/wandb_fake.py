"""A server on loopback that answers what wandb's own client asks, to list the runs of a project and to log one."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT = {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}}
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


def logging(operation: str, variables: dict[str, Any], url: str) -> dict[str, Any]:
    """Answers to what a client asks that logs a run and an artifact."""
    upload = {"uploadUrl": f"{url}/upload", "uploadHeaders": []}
    given = variables.get("input") or {}
    files = [
        {"id": f"f{i}", "displayName": file["name"], "storagePath": f"s/{i}", "artifact": {"id": "a"}, **upload}
        | {"name": file["name"], "uploadUrl": f"{url}/upload/{file['name']}", "uploadMultipartUrls": None}
        for i, file in enumerate(given.get("artifactFiles", []))
    ]
    bucket = {"id": "b", "name": variables.get("name"), "displayName": "run", "description": "", "config": "{}"}
    answers: dict[str, dict[str, Any]] = {
        "ServerFeaturesQuery": {"serverInfo": {"features": []}},
        "RunResumeStatus": {"model": None},
        "UpsertBucket": {
            "upsertBucket": {
                "bucket": bucket | {"sweepName": "", "historyLineCount": 0, "project": PROJECT},
                "inserted": True,
            }
        },
        "CreateRunFiles": {
            "createRunFiles": {
                "runID": "b",
                "uploadHeaders": [],
                "files": [{"name": name, "uploadUrl": f"{url}/upload/{name}"} for name in variables.get("files", [])],
            }
        },
        "ArtifactType": {"project": {"artifact": None}},
        "CreateArtifact": {
            "createArtifact": {
                "artifact": {"id": "a", "state": "PENDING", "artifactSequence": {"id": "s", "latestArtifact": None}}
            }
        },
        "CreateArtifactManifest": {
            "createArtifactManifest": {
                "artifactManifest": {"id": "m", "file": {"id": "f", "name": "m", "displayName": "m", **upload}}
            }
        },
        "CreateArtifactFiles": {
            "createArtifactFiles": {"files": {"edges": [{"node": file} for file in files]}},
        },
        "CommitArtifact": {"commitArtifact": {"artifact": {"id": "a", "digest": "d"}}},
    }
    return answers.get(operation, {"viewer": VIEWER})


@contextmanager
def serving(
    runs: list[dict[str, Any]], status: int = 200, delay: float = 0.0, until: str = "never"
) -> Iterator[tuple[str, list[str]]]:
    """Address of a server with one project, e/p, and the operations that it is asked for and the paths sent to.

    Args:
        runs: of the project.
        status: of the answer to who lists them.
        delay: seconds before that.
        until: the operation after which the server is out of order.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {})

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            if until in asked:
                return self._answer(503, {})
            if self.path != "/graphql":  # what the client tells of itself and of a run
                asked.append(self.path)
                return self._answer(200, {"exitcode": None, "limits": {}})
            body = json.loads(sent)
            operation = re.search(r"(?:query|mutation)\s+(\w+)", body["query"])
            assert operation is not None
            asked.append(operation.group(1))
            if operation.group(1) == "Runs":
                time.sleep(delay)
                self._answer(status, {"data": {"project": self._page(**body["variables"])}})
            else:
                url = f"http://127.0.0.1:{server.server_port}"
                self._answer(200, {"data": logging(operation.group(1), body.get("variables") or {}, url)})

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            self._answer(503 if until in asked else 200, {})

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
