"""`recsys serve`."""

import sys
from functools import partial

from recsys.commands.parsing import call
from recsys.errors import InputError


def serve(
    checkpoint: str,
    items: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    device: str = "cpu",
    seconds: float = 10.0,
    batch: int = 64,
    waiting: int = 1024,
) -> None:
    """Answer over HTTP from a checkpoint: /recommend, /items, /health, /metrics, and at / a page to try it on.

    Args:
        checkpoint: Folder, name in `recsys models`, or address (hf://, wandb://, https://).
        items: Atomic file of items (.item) to show titles from.
        host: Address to listen at; 0.0.0.0 is reachable from other machines, and there is no password.
        port: Port to listen at; 0 takes a free one, and says which.
        workers: Processes. Each loads the checkpoint, and they share the processor's cores.
        device: Where the model computes, such as cpu or cuda.
        seconds: For which a request may wait for an answer.
        batch: Requests that go through the model together at most.
        waiting: Requests that may wait for each worker; those beyond are told to come back.
    """
    for name, value in {"workers": workers, "seconds": seconds, "batch": batch, "waiting": waiting}.items():
        if value < 1:
            raise InputError(f"--{name} {value}: must be at least 1.")
    try:
        from recsys.serving.limits import Limits
        from recsys.serving.server import serve as run
        from recsys.serving.service import Service
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "uvicorn"):
            raise
        raise InputError(f"{error.name} is missing: pip install 'recsys-zoo[serve]'") from error

    run(
        partial(Service.load, checkpoint, items, device),
        host,
        port,
        workers,
        Limits(seconds, batch, waiting),
        partial(print, file=sys.stderr, flush=True),
    )


def main(args: list[str]) -> None:
    """Parse and run."""
    call(serve, args, positional=True)
