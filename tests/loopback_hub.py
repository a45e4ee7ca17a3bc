"""A hub on this machine: it speaks the Hub's protocol, so that huggingface_hub itself is what runs."""

import base64
import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

COMMIT, EMPTY, UPLOADED = "2c6855d" + "0" * 33, "0" * 40, "5" * 40
NOBODY = "http://127.0.0.1:9"
"""An address at which nobody answers."""


class Hub(ThreadingHTTPServer):
    """Serves `root` as one repository: its commit `COMMIT` is main; `EMPTY`, a tag, has no files.

    What is uploaded becomes the commit `UPLOADED`, which main is from then on.

    Attributes:
        served: path and Range header of every file whose bytes were asked for.
        cut: path of a file of which the next answer breaks off after that many bytes.
        stall: path of a file of which half is sent, and then nothing until `resume` is set.
        broken: path of a file of which the next answer is an error.
        announced: size of a file by its path, where it is not the truth.
    """

    daemon_threads = True

    def __init__(self, root: Path, repository: str, kind: Literal["datasets", "models"]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repository, self.kind, self.commit = repository, kind, COMMIT
        self.files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        self.served: list[tuple[str, str | None]] = []
        self.cut: dict[str, int] = {}
        self.stall: str | None = None
        self.broken: str | None = None
        self.announced: dict[str, int] = {}
        self.resume = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no news."""


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server
        api = f"/api/{hub.kind}/{hub.repository}"
        resolve = f"/{'' if hub.kind == 'models' else hub.kind + '/'}{hub.repository}/resolve/"
        revisions = {"main": hub.commit, hub.commit: hub.commit, "empty": EMPTY}
        path = self.path.partition("?")[0]
        if path.startswith("/blobs/"):
            self.blob(path.removeprefix("/blobs/"))
        elif path.startswith(resolve):
            revision, _, name = path.removeprefix(resolve).partition("/")
            self.redirect(revisions.get(revision), name)
        elif not path.startswith(f"{api}/"):
            self.say(401, {"error": "Invalid username or password."}, {"X-Error-Code": "RepoNotFound"})
        elif commit := revisions.get(path.removeprefix(f"{api}/revision/")):
            self.say(200, {"id": hub.repository, "sha": commit})
        elif path in (f"{api}/tree/{hub.commit}", f"{api}/tree/{EMPTY}"):
            self.say(200, [self.entry(name) for name in hub.files if not path.endswith(EMPTY)])
        else:
            self.say(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})

    def do_POST(self) -> None:
        """Creating a repository, asking how files are to be sent, and a commit: JSON, or one object a line."""
        hub, path = self.server, self.path.partition("?")[0]
        api = f"/api/{hub.kind}/{hub.repository}"
        text = self.body().decode()
        if path == "/api/repos/create":
            organisation, name = hub.repository.split("/")
            asked = json.loads(text)
            if (asked.get("organization"), asked["name"]) != (organisation, name):
                self.say(403, {"error": "You don't have the rights to create a model there."})
            else:
                self.say(200, {"url": f"{hub.url}/{hub.repository}", "id": hub.repository})
        elif path == "/api/validate-yaml":
            told = [] if json.loads(text)["content"].startswith("---\n") else [{"message": "no front matter"}]
            self.say(200, {"errors": told, "warnings": []})
        elif path == f"{api}/preupload/main":
            files = [each["path"] for each in json.loads(text)["files"]]
            told = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in files]
            self.say(200, {"files": told})
        elif path == f"{api}/commit/main":
            parts = [json.loads(line)["value"] for line in text.splitlines() if json.loads(line)["key"] == "file"]
            hub.files |= {part["path"]: base64.b64decode(part["content"]) for part in parts}
            hub.commit = UPLOADED
            url = f"{hub.url}/{hub.repository}/commit/{UPLOADED}"
            self.say(200, {"success": True, "commitOid": UPLOADED, "commitUrl": url, "hookOutput": ""})
        else:
            self.say(404, {"error": "Not found"}, {"X-Error-Code": "RepoNotFound"})

    def body(self) -> bytes:
        """What was sent, in one piece or in several."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def entry(self, name: str) -> dict:
        content = self.server.files[name]
        lfs = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
        return {"type": "file", "path": name, "oid": "0" * 40, "size": len(content), "lfs": lfs}

    def say(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.start(status, {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(content)

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def redirect(self, commit: str | None, name: str) -> None:
        """As for every large file: the Hub tells what it is, another server has its bytes."""
        hub = self.server
        if commit is None:
            self.say(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
            return
        if commit == EMPTY or name not in hub.files:
            self.say(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        content = hub.files[name]
        size = hub.announced.get(name, len(content))
        headers = {"X-Repo-Commit": commit, "X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(size)}
        self.start(
            302, {**headers, "Location": f"http://localhost:{hub.server_port}/blobs/{name}", "Content-Length": "0"}
        )

    def blob(self, name: str) -> None:
        hub, content = self.server, self.server.files[name]
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        etag = {"ETag": f'"{sha256(content)}"', "Accept-Ranges": "bytes"}
        if self.command == "GET":
            hub.served.append((name, asked))
            if name == hub.broken:
                hub.broken = None
                self.say(403, {"error": "The link has expired."})
                return
        span = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if asked else {}
        self.start(206 if asked else 200, {**etag, **span, "Content-Length": str(len(content) - start)})
        if self.command == "HEAD":
            return
        if (end := hub.cut.pop(name, None)) is not None:
            self.wfile.write(content[start:end])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if name == hub.stall:
            self.wfile.write(content[: len(content) // 2])
            hub.resume.wait(20)
            self.close_connection = True
            return
        self.wfile.write(content[start:])

    def log_message(self, *args: object) -> None:
        """Quiet."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def flip(content: bytes) -> bytes:
    """The same size, and one bit of it another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Answer in a thread until the block is left."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    with server:
        thread.start()
        yield
        server.shutdown()


def environment(hub: Hub, home: Path, **more: str) -> dict[str, str]:
    """The variables of a process that is to talk to `hub`: huggingface_hub reads them when it is imported."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    local = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1,localhost"}
    return inherited | local | more
