"""Whether wandb's server can be used: answered within seconds, whatever the server does."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recsys import wandb_server
from recsys.wandb_server import obstacle


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(wandb_server, "PATIENCE", 1.0)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A server that takes calls and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


class NotFound(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        pass


def test_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert obstacle() == "wandb has no API key (`wandb login`, or WANDB_API_KEY)"


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, key: None) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 does not answer" in (obstacle() or "")


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch, key: None, listening: socket.socket) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
    started = time.monotonic()
    found = obstacle()
    assert found is not None
    assert "answer" in found
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("place", ["environment", "netrc"])
def test_whoever_answers_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str) -> None:
    if place == "environment":
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    else:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password " + "a" * 40)
    monkeypatch.setattr(wandb_server, "PATIENCE", 10.0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), NotFound)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    assert obstacle() is None
    server.shutdown()
    server.server_close()
