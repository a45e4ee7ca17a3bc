"""From settings to processes: a socket, one worker in this process or several in their own, and an orderly end."""

import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from recsys.errors import InputError
from recsys.serving.app import application
from recsys.serving.limits import Limits
from recsys.serving.service import Service

BACKLOG = 2048
GRACE = 5
"""Seconds beyond the longest request that the end may take."""
PATIENCE = 120
"""Seconds within which a worker must answer its supervisor."""
THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")


def serve(
    load: Callable[[], Service], host: str, port: int, workers: int, limits: Limits, say: Callable[[str], None]
) -> None:
    """Answer until SIGINT or SIGTERM; then take no more connections, answer what has been asked, and return.

    Args:
        load: Loads the model; it can be pickled if there are several workers, and each calls it.
        host: Address to listen at.
        port: 0 takes a free one.
        workers: Processes; they share the cores.
        limits: What a request may take.
        say: Told where to ask, before the first request is answered.

    Raises:
        InputError: what `load` refuses, an address that cannot be had.
    """
    with _socket(host, port) as listening, tempfile.TemporaryDirectory(prefix="recsys-serve-") as folder:
        service = load()  # here too when others answer: what is wrong is said once, and at once
        say(f"{_introduced(service)} at {_address(listening)} ({_counted(workers)}); Ctrl-C ends it.")
        if workers == 1:
            one = _config(partial(application, lambda: service, Path(folder), limits), limits)
            with suppress(KeyboardInterrupt):  # the signal that ended it, raised again when all is done
                uvicorn.Server(one).run(sockets=[listening])
        else:
            del service
            for name in THREADS:
                os.environ.setdefault(name, str(max(1, (os.cpu_count() or 1) // workers)))
            each = _config(partial(application, load, Path(folder), limits), limits, workers)
            Multiprocess(each, sockets=[listening]).run()


def _config(make: Callable[..., object], limits: Limits, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        make,
        factory=True,
        workers=workers,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(2 * limits.seconds) + GRACE,
        timeout_worker_healthcheck=PATIENCE,
    )


def _introduced(service: Service) -> str:
    about = service.health
    return f"{about.model} with {about.items:,} items answers"


def _counted(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise InputError(f"--host {host} --port {port}: cannot listen there ({error}).") from error
    # Connections inherit it. asyncio sets it only on sockets that it made itself, and without it an answer's second
    # packet waits 40 ms for the acknowledgement of the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
