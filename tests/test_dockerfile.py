"""The Dockerfile, as far as it can be read: that it brings all that the wheel is made of, and asks the right port."""

import json
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from inspect import signature
from pathlib import Path

import pytest
from loopback_hub import serving

from recsys.commands.serve import serve

ROOT = Path(__file__).parents[1]
TEXT = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
STEPS = [line.split(maxsplit=1) for line in TEXT.splitlines()]


def said(word: str) -> list[str]:
    """What stands behind a word, in order."""
    return [step[1] for step in STEPS if step and step[0] == word]


def test_what_the_wheel_is_made_of_is_copied() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    included = project.partition("[tool.hatch.build.targets.wheel.force-include]\n")[2].partition("\n[")[0]
    wanted = {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "recsys"}
    wanted |= {line.split(" = ")[0].strip('"') for line in included.splitlines() if line}
    copied = {source for line in said("COPY") for source in line.split()[:-1]}
    assert len(wanted) > 7
    assert wanted == copied
    assert all((ROOT / source).exists() for source in copied)


def test_one_torch_is_named() -> None:
    assert "grep -E '^torch==' constraints.txt" in said("RUN")[0]
    pins = re.findall(r"^torch==.*$", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    assert len(pins) == 1
    assert re.fullmatch(r"torch==[\d.]+", pins[0]), "no condition, which pip would not understand in one argument"


def test_nobody_serves_as_root() -> None:
    words = [step[0] for step in STEPS if step]
    assert "RUN" not in words[words.index("USER") :]
    assert said("USER")[0] in said("RUN")[-1]
    assert json.loads(said("ENTRYPOINT")[0]) == ["recsys", "serve", "--host", "0.0.0.0"]


class Answer(BaseHTTPRequestHandler):
    """`/health` as the server is."""

    def do_GET(self) -> None:
        self.send_response(self.server.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_asks_the_server(status: int, healthy: bool) -> None:
    _, options, command = re.split("(.*)CMD ", said("HEALTHCHECK")[0])
    port = signature(serve).parameters["port"].default
    assert "--start-period" in options
    assert said("EXPOSE") == [str(port)]
    program, flag, code = json.loads(command)
    assert (program, flag) == ("python", "-c")
    assert f"127.0.0.1:{port}/health" in code
    server = HTTPServer(("127.0.0.1", 0), Answer)
    server.status = status
    with serving(server):
        code = code.replace(f":{port}/", f":{server.server_port}/")
        assert (subprocess.run([sys.executable, flag, code], capture_output=True).returncode == 0) == healthy
