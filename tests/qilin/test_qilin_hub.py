"""Downloads from a hub on this machine: it speaks the Hub's protocol, so that huggingface_hub itself is what runs."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.errors import InputError
from recsys.qilin.hub import fetch
from recsys.qilin.problems import Problems
from recsys.qilin.source import locate, notes

COMMIT, EMPTY = "2c6855d" + "0" * 33, "0" * 40
NOBODY = "http://127.0.0.1:9"
NOTES = "notes/train-00000-of-00001.parquet"

CALLS = """
import json, sys
from recsys.errors import InputError
from recsys.qilin.hub import fetch
assert "huggingface_hub" not in sys.modules  # only who downloads waits for it
for source in sys.argv[1:]:
    try:
        folder, commit = fetch(source, lambda message: print(message, file=sys.stderr))
        print(json.dumps([str(folder), commit]))
    except InputError as error:
        print(json.dumps(str(error)))
"""


class Hub(ThreadingHTTPServer):
    """Serves `root` as the data set THUIR/Qilin: its commit `COMMIT` is main; `EMPTY`, a tag, has no files.

    Attributes:
        served: path and Range header of every file whose bytes were asked for.
        cut: path of a file of which the next answer breaks off after that many bytes.
        stall: path of a file of which half is sent, and then nothing until `resume` is set.
        broken: path of a file of which the next answer is an error.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        self.served: list[tuple[str, str | None]] = []
        self.cut: dict[str, int] = {}
        self.stall: str | None = None
        self.broken: str | None = None
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
        api, resolve = "/api/datasets/THUIR/", "/datasets/THUIR/Qilin/resolve/"
        path = self.path.partition("?")[0]
        if path.startswith("/blobs/"):
            self.blob(path.removeprefix("/blobs/"))
        elif path.startswith(resolve):
            self.redirect(path.removeprefix(resolve).partition("/")[2])
        elif not path.startswith(f"{api}Qilin/"):
            self.say(401, {"error": "Invalid username or password."}, {"X-Error-Code": "RepoNotFound"})
        elif commit := {"main": COMMIT, COMMIT: COMMIT, "empty": EMPTY}.get(path.removeprefix(f"{api}Qilin/revision/")):
            self.say(200, {"id": "THUIR/Qilin", "sha": commit})
        elif path in (f"{api}Qilin/tree/{COMMIT}", f"{api}Qilin/tree/{EMPTY}"):
            self.say(200, [self.entry(name) for name in self.server.files if not path.endswith(EMPTY)])
        else:
            self.say(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})

    def entry(self, name: str) -> dict:
        content = self.server.files[name]
        lfs = {"oid": sha256(content), "size": len(content), "pointerSize": 134}
        return {"type": "file", "path": name, "oid": "0" * 40, "size": len(content), "lfs": lfs}

    def say(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.start(status, {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})})
        if self.command == "GET":
            self.wfile.write(content)

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def redirect(self, name: str) -> None:
        """As for every large file: the Hub tells what it is, another server has its bytes."""
        content = self.server.files[name]
        headers = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content))}
        self.start(
            302,
            {**headers, "Location": f"http://localhost:{self.server.server_port}/blobs/{name}", "Content-Length": "0"},
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


@pytest.fixture
def hub(raw) -> Iterator[Hub]:
    root = raw()
    (root / "dataset_dict.json").write_text("{}")
    (root / "image").mkdir()
    (root / "image" / "part_0.parquet").write_bytes(b"not one of the seven")
    with Hub(root) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.resume.set()
        server.shutdown()


@pytest.fixture
def start(hub: Hub, tmp_path: Path):
    """Start a process that fetches: huggingface_hub reads the environment when it is imported."""

    def begin(*sources: str, **environment: str) -> subprocess.Popen:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1,localhost"} | environment
        return subprocess.Popen(
            [sys.executable, "-c", CALLS, *sources],
            env=inherited | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


@pytest.fixture
def fetched(start):
    """What fetching gives, one result a source: folder and commit, or the sentence of the error."""

    def run(*sources: str, **environment: str) -> list:
        output, errors = start(*sources, **environment).communicate(timeout=60)
        results = [json.loads(line) for line in output.splitlines()]
        assert len(results) == len(sources), errors
        return results

    return run


def parquet(hub: Hub) -> set[str]:
    return {name for name in hub.files if name.endswith(".parquet") and not name.startswith("image")}


def test_download_then_cache_then_offline(hub, fetched):
    first, *again = fetched("hf://THUIR/Qilin", f"hf://THUIR/Qilin@{COMMIT}", "hf://datasets/THUIR/Qilin@main")
    assert sorted(hub.served) == sorted((name, None) for name in parquet(hub))
    assert first[1] == COMMIT
    files = locate(Path(first[0]))
    assert {str(path.relative_to(first[0])) for shards in files.values() for path in shards} == parquet(hub)
    assert files["notes"][0].is_symlink()
    assert sum(piece.height for piece in notes(files["notes"][0], Problems())) == 24
    assert again == [first, first]
    for nowhere in ({"HF_HUB_OFFLINE": "1"}, {}):
        assert fetched("hf://THUIR/Qilin", HF_ENDPOINT=NOBODY, **nowhere) == [first]


def test_what_is_not_there_is_said_in_one_sentence(hub, fetched):
    sources = ["Qilni", "Qilin@v9", f"Qilin@{'f' * 40}", "Qi--lin", "Qilin@empty"]
    sentences = fetched(*(f"hf://THUIR/{source}" for source in sources)) + fetched(
        "hf://THUIR/Qilin", HF_ENDPOINT=NOBODY
    )
    expected = [
        "hf://THUIR/Qilni: no such data set",
        "no revision 'v9'",
        f"no revision '{'f' * 40}'",
        "hf://THUIR/Qi--lin: ",
        "none of Qilin's parquet files",
        f"{NOBODY} does not answer as it should ([Errno 111] Connection refused)",
    ]
    for sentence, fragment in zip(sentences, expected, strict=True):
        assert fragment in sentence
        assert "\n" not in sentence
    assert "local folder" in sentences[0]
    assert "local folder" in sentences[-1]
    assert hub.served == []


def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(hub, fetched, tmp_path):
    big = pa.table({"note_idx": [0], "note_content": ["x" * 25_000_000]})
    pq.write_table(big, tmp_path / "big.parquet", compression="none", use_dictionary=False)
    hub.files[NOTES] = (tmp_path / "big.parquet").read_bytes()
    hub.cut[NOTES] = 22_000_000
    ((folder, _),) = fetched("hf://THUIR/Qilin")
    (_, first), (_, second) = [call for call in hub.served if call[0] == NOTES]
    assert first is None
    assert second is not None  # huggingface_hub keeps what it has in whole chunks of 10 MB
    assert int(second.removeprefix("bytes=").removesuffix("-")) >= 10_000_000
    assert (Path(folder) / NOTES).read_bytes() == hub.files[NOTES]


def test_a_run_that_is_killed_goes_on_with_what_it_had_not_finished(hub, start, fetched, tmp_path):
    hub.stall = NOTES
    process = start("hf://THUIR/Qilin")
    snapshot = tmp_path / "hf" / "hub" / "datasets--THUIR--Qilin" / "snapshots" / COMMIT
    deadline = time.monotonic() + 60
    while len([*snapshot.glob("*/*.parquet")]) < len(parquet(hub)) - 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    hub.stall = None
    hub.served.clear()
    (error,) = fetched("hf://THUIR/Qilin", HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set, and the cache holds no complete copy" in error
    ((folder, _),) = fetched("hf://THUIR/Qilin")
    assert hub.served == [(NOTES, None)]
    assert (Path(folder) / NOTES).read_bytes() == hub.files[NOTES]


def test_a_failed_download_keeps_what_is_finished(hub, fetched):
    hub.broken = NOTES
    error, (_, commit) = fetched("hf://THUIR/Qilin", "hf://THUIR/Qilin")
    assert "the download failed (" in error
    assert "403" in error
    assert commit == COMMIT
    assert sorted(hub.served) == sorted([(name, None) for name in parquet(hub)] + [(NOTES, None)])


@pytest.mark.parametrize("source", ["hf://", "hf://Qilin", "hf://a/b/c", "hf://THUIR/Qilin@", "https://x/y"])
def test_not_an_address_on_the_hub(source):
    with pytest.raises(InputError, match="hf://owner/name"):
        fetch(source, print)
