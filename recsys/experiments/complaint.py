"""Why a process that was started has failed."""

import signal
from pathlib import Path


def complaint(code: int, log: Path) -> str:
    """The last line of its log; what it was killed by says more where it was (`code` as subprocess has it)."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}{', as by a machine out of memory' if name == 'SIGKILL' else ''}"
    lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
