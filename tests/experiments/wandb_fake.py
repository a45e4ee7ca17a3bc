"""A server on loopback that answers what wandb's own client asks, to list the runs of a project and to log one."""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT = {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}}
VIEWER = {"id": "1", "entity": "e", "username": "u", "email": "", "flags": "{}", "teams": {"edges": []}}


def node(name: str, config: dict[str, Any], summary: dict[str, Any], state: str = "finished") -> dict[str, Any]:
    """One run as the server has it."""
    run_id = f"id-{name.replace('/', '-')}"
    return {
        "id": run_id,
        "name": run_id,
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
    runs: list[dict[str, Any]],
    status: int = 200,
    delay: float = 0.0,
    until: str = "never",
    files: Mapping[str, Mapping[str, bytes]] | None = None,
    at: str = "Runs",
    torn: bool = False,
) -> Iterator[tuple[str, list[str]]]:
    """Address of a server with one project, e/p, and the operations that it is asked for and the paths sent to.

    Args:
        runs: of the project.
        status: of the answer to who asks for `at`.
        delay: seconds before that.
        until: the operation after which the server is out of order.
        files: what each run, by its id, has uploaded.
        at: an operation, the listing of the runs, or "download".
        torn: whether a byte of every file is another when it arrives.
    """
    asked: list[str] = []

    def url() -> str:
        return f"http://127.0.0.1:{server.server_port}"

    def page(cursor: str | None, perPage: int, project: str, filters: str = "{}", **_: Any) -> dict[str, Any] | None:
        if project != "p":
            return None
        called = json.loads(filters or "{}").get("display_name")
        found = [each for each in runs if called in (None, each["displayName"])]
        first = int(cursor or 0)
        shown = found[first : first + perPage]
        last = first + len(shown)
        return {
            "internalId": "1",
            "runCount": len(found),
            "readOnly": False,
            "runs": {
                "edges": [{"node": each, "cursor": str(first + i)} for i, each in enumerate(shown)],
                "pageInfo": {"endCursor": str(last), "hasNextPage": last < len(found)},
            },
        }

    def one(name: str, **_: Any) -> dict[str, Any]:
        return {"run": next((each for each in runs if each["name"] == name), None)}

    def listed(name: str, fileNames: list[str], **_: Any) -> dict[str, Any]:
        held = {called: text for called, text in (files or {}).get(name, {}).items() if called in fileNames}
        nodes = [
            {
                **{"id": called, "name": called, "mimetype": "", "updatedAt": "2026-01-03T00:00:00Z"},
                **{"url": f"{url()}/files/{name}/{called}", "directUrl": f"{url()}/files/{name}/{called}"},
                **{"sizeBytes": len(text), "md5": base64.b64encode(hashlib.md5(text).digest()).decode()},
            }
            for called, text in held.items()
        ]
        edges = [{"node": each, "cursor": str(i)} for i, each in enumerate(nodes)]
        page_info = {"endCursor": None, "hasNextPage": False}
        return {"internalId": "1", "run": {"fileCount": len(nodes), "files": {"edges": edges, "pageInfo": page_info}}}

    reading = {"Runs": page, "Run": one, "RunFiles": listed}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith("/files/"):
                return self._answer(200, {})
            asked.append(self.path)
            if at == "download":
                time.sleep(delay)
                if status != 200:
                    return self._answer(status, {})
            _, _, run_id, name = self.path.split("/")
            text = (files or {})[run_id][name]
            self._send(200, text[: len(text) // 2] + b"?" * torn + text[len(text) // 2 + torn :])

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
            name, variables = operation.group(1), body.get("variables") or {}
            asked.append(name)
            if name == at:
                time.sleep(delay)
            if name in reading:
                self._answer(status if name == at else 200, {"data": {"project": reading[name](**variables)}})
            else:
                self._answer(200, {"data": logging(name, variables, url())})

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            self._answer(503 if until in asked else 200, {})

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            self._send(status, json.dumps(content).encode())

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield url(), asked
    finally:
        server.shutdown()
        server.server_close()
