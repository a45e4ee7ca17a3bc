"""A file of users through `recsys recommend --input … --output …`: time, peak memory, and a run that is killed.

The same in Parquet and JSONL; a tenth of them too, so that it shows whether memory grows with their number.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from environments import limited

from recsys.files import sha256

HERE = Path(__file__).parent
ITEMS = 20_000
KINDS = ("parquet", "jsonl", "killed")


def watched(command: list[str], kill_at: int | None = None) -> dict[str, Any]:
    """What a run of the command takes; it is killed when so many users have been answered."""
    began, done = time.perf_counter(), 0
    process = subprocess.Popen(command, env=limited(1), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"([\d,]+) users, ", line):
            done = int(found[1].replace(",", ""))
            if kill_at is not None and done >= kill_at:
                process.kill()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != (0 if kill_at is None else -signal.SIGKILL):
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{''.join(said[-20:])}")
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return {
        "users": done,
        "cpu_s": used.ru_utime + used.ru_stime,
        "wall_s": time.perf_counter() - began,
        "peak_mib": used.ru_maxrss / unit,
    }


def prepared(users: int, work: Path) -> Path:
    """The folder of a checkpoint and of so many users."""
    folder = work / f"users-{users}"
    if not (folder / "users.parquet").is_file():
        asked = ["--items", str(ITEMS), "--users", str(users), "--folder", str(folder)]
        subprocess.run([sys.executable, str(HERE / "make_users.py"), *asked], env=limited(1), check=True)
    return folder


def measured(users: int, kind: str, work: Path) -> dict[str, Any]:
    """One row: all users of a file of this kind, or the rest of them behind a run that was killed half way."""
    folder = prepared(users, work)
    source, target = folder / f"users.{'jsonl' if kind == 'jsonl' else 'parquet'}", folder / f"{kind}-answers.parquet"
    command = [sys.executable, "-m", "recsys", "recommend", "--checkpoint", str(folder / "checkpoint")]
    command += ["--input", str(source), "--output", str(target)]
    target.unlink(missing_ok=True)
    row: dict[str, Any] = {"row": kind, "items": ITEMS}
    if kind == "killed":
        row["killed_at"] = watched(command, users // 2)["users"]
        if target.exists():
            sys.exit(f"{target}: there although the run was killed.")
    row |= watched(command)
    row["users_per_cpu_s"] = (users - row.get("killed_at", 0)) / row["cpu_s"]
    row["sha256"] = sha256(target)
    return row


def batch(users: int, work: Path, fresh: bool, measure: bool) -> list[dict[str, Any]]:
    """The rows that are there, those that are missing measured first; the answers must be the same in all of them."""
    rows = []
    for number, kind in (*((users // 10, kind) for kind in KINDS[:2]), *((users, kind) for kind in KINDS)):
        out = work / f"batch-{number}-{kind}.json"
        if measure and (fresh or not out.is_file()):
            print(f"  {out.stem}", file=sys.stderr, flush=True)
            out.write_text(json.dumps(measured(number, kind, work)))
        if out.is_file():
            rows.append(json.loads(out.read_text()))
    if any(len({row["sha256"] for row in rows if row["users"] == number}) > 1 for number in (users // 10, users)):
        sys.exit("The answers differ between Parquet, JSONL and a run that was killed: nothing to report.")
    for row in rows:
        del row["sha256"]
    return [
        {name: round(value, 1) if isinstance(value, float) else value for name, value in row.items()} for row in rows
    ]
