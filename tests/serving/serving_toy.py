"""Small checkpoints, and real servers of them on loopback."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from json import dumps, loads
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recsys import checkpoints
from recsys.atomic import Vocabulary
from recsys.checkpoints import Checkpoint

TOKENS = [f"n{i}" for i in range(1, 41)]
SHAPE = {"n_items": 41, "max_len": 8, "dim": 16, "layers": 1, "heads": 2, "inner_dim": 16}


def saved(network: Any, folder: Path) -> Path:
    """A checkpoint in which every weight has a say."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    checkpoints.save(Checkpoint(network, Vocabulary(TOKENS), np.arange(41), {"name": "toy"}, {"test/mrr": 0.5}), folder)
    return folder


class Server:
    """A running `recsys serve`."""

    def __init__(self, process: subprocess.Popen, address: str) -> None:
        self.process, self.address = process, address

    def connect(self) -> HTTPConnection:
        return HTTPConnection(self.address.removeprefix("http://"), timeout=60)

    def ask(self, path: str, body: Any = None, connection: HTTPConnection | None = None) -> tuple[int, Any]:
        """Status and content; a POST if there is a body."""
        connection = connection or self.connect()
        content = body if isinstance(body, bytes | None) else dumps(body).encode()
        connection.request("GET" if body is None else "POST", path, content, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode()
        return response.status, loads(text) if "json" in response.headers["Content-Type"] else text

    def recommend(self, **question: Any) -> tuple[int, Any]:
        return self.ask("/recommend", question)

    def counts(self) -> dict[str, float]:
        """What /metrics says."""
        lines = [line.rpartition(" ") for line in self.ask("/metrics")[1].splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}


@contextmanager
def running(*args: str) -> Iterator[Server]:
    """A server in a process of its own; it must end by itself when it is told to."""
    script = "import sys; from recsys.__main__ import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "serve", *args, "--port", "0"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://\S+", line)
    try:
        assert found, line + process.stderr.read()
        yield Server(process, found[0])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=60)[1]
    assert process.returncode == 0, rest
    assert rest == ""
