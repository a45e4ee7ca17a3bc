"""From settings to processes: a socket, one worker in this process or several in their own, and an orderly end."""

import socket
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numba
import torch
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from recsys.errors import InputError
from recsys.serving.app import application
from recsys.serving.limits import Limits
from recsys.serving.service import Service

BACKLOG = 2048
GRACE = 5
"""Seconds beyond the longest request that an end may take."""
PATIENCE = 120
"""Seconds in which a busy worker must answer its supervisor."""


def serve(
    load: Callable[[], Service],
    host: str,
    port: int,
    workers: int,
    threads: int,
    limits: Limits,
    say: Callable[[str], None],
) -> None:
    """Answer until SIGINT or SIGTERM; then take no more connections, answer what has been asked, and return.

    Args:
        load: Can be pickled when there are several workers.
        host: Address to listen at.
        port: 0 takes a free one.
        workers: Processes; each loads the checkpoint.
        threads: Threads with which each computes.
        limits: What a request may take.
        say: Told where to ask, before the first request.

    Raises:
        InputError: what `load` refuses, an address that cannot be had.
    """
    listening = _socket(host, port)
    with tempfile.TemporaryDirectory(prefix="recsys-serve-") as folder, listening:
        service = load()  # in this process too when others answer: what is wrong is said once, and at once
        about = service.health
        shown = f"[{host}]" if ":" in host else host
        processes = f"{workers} workers" if workers > 1 else "1 worker"
        say(
            f"{about.model} with {about.items:,} items answers at http://{shown}:{listening.getsockname()[1]} "
            f"({processes}); Ctrl-C ends it."
        )
        config = partial(_config, Path(folder), threads, limits)
        if workers == 1:
            try:
                uvicorn.Server(config(lambda: service)).run(sockets=[listening])
            except KeyboardInterrupt:  # the signal that ended it, raised again when all is done
                pass
        else:
            del service
            Multiprocess(config(load, workers=workers), sockets=[listening]).run()


def _config(
    folder: Path, threads: int, limits: Limits, load: Callable[[], Service], workers: int = 1
) -> uvicorn.Config:
    return uvicorn.Config(
        partial(_worker, folder, threads, limits, load),
        factory=True,
        workers=workers,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(2 * limits.seconds) + GRACE,
        timeout_worker_healthcheck=PATIENCE,
    )


def _worker(folder: Path, threads: int, limits: Limits, load: Callable[[], Service]) -> FastAPI:
    """The application, in the process that answers."""
    torch.set_num_threads(threads)
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    return application(load, folder, limits)


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise InputError(f"--host {host} --port {port}: cannot listen there ({error}).") from error
