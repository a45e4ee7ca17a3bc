"""An environment of its own for each library that a benchmark is run beside, made by uv on first use."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


def pinned(*names: str) -> list[str]:
    """Requirements at this project's own versions, so that a difference is not one of torch's or NumPy's."""
    lines = [line.partition(";")[0].strip() for line in CONSTRAINTS.read_text("utf-8").splitlines()]
    return [next(line for line in lines if line.startswith(f"{name}==")) for name in names]


def limited(threads: int) -> dict[str, str]:
    """This process's environment, for a child that shall compute on so many threads."""
    names = ("OMP_NUM", "MKL_NUM", "OPENBLAS_NUM", "NUMBA_NUM", "POLARS_MAX")
    return os.environ | {f"{name}_THREADS": str(threads) for name in names}


def python_of(folder: Path, requirements: Sequence[str], alone: Sequence[str] = ()) -> str:
    """The interpreter of the environment in `folder`, made anew if it holds other requirements.

    What is in `alone` is installed without its own requirements.
    """
    python, note = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join([*requirements, *alone])
    if note.is_file() and note.read_text("utf-8") == wanted:
        return str(python)
    print(f"Installing {', '.join([*requirements, *alone])} into {folder} ...", flush=True)
    links = os.environ.get("UV_FIND_LINKS", os.environ.get("PIP_FIND_LINKS", "").replace(" ", ","))
    uv, into = [sys.executable, "-m", "uv"], ["pip", "install", "-q", "--python", str(python)]
    commands = [["venv", "-q", "--clear", "--python", sys.executable, str(folder)], [*into, *requirements]]
    if alone:
        commands.append([*into, "--no-deps", *alone])
    for command in commands:
        subprocess.run([*uv, *command], check=True, env=os.environ | ({"UV_FIND_LINKS": links} if links else {}))
    note.write_text(wanted, "utf-8")
    return str(python)
