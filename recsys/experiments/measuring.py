"""One row of the leaderboard: its commands run in processes of their own, what they cost, and what came out."""

import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

from recsys.errors import InputError
from recsys.experiments.complaint import complaint
from recsys.experiments.leaderboard import DIGITS, METRICS, Plan, Row
from recsys.machine import processor
from recsys.metrics import Interval

VERBS = ("synthesize", "convert", "fit", "test")
PACKAGES = ("recsys-zoo", "torch", "lightning", "numpy", "polars", "recbole")
QUIET = ("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false")


def measure(plan: Plan, work: Path, progress: Callable[[str], None], threads: int = 1) -> Row:
    """Make the data in `work` unless they are there, then fit and test in a new folder of it.

    Raises:
        InputError: a command is none that a leaderboard may hold, or it failed.
    """
    prepare, (*fits, test) = _commands(plan, plan.prepare), _commands(plan, plan.command)
    if test[0] != "test" or {verb for verb, *_ in fits} != {"fit"}:
        raise InputError(f"{plan.row}: its command is not fits and then a test: {plan.command}")
    work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{plan.row.replace('/', '-')}-", dir=work)).absolute()
    run = _Runner(plan, work, folder / "log.txt", threads, progress)
    for step in prepare:
        if not (work / _value(step, "--output")).is_dir():
            run(step)
    used = [run([*step, "--runs", str(folder), *QUIET]) for step in fits]
    run([*test, "--runs", str(folder), *QUIET])
    return Row(
        **{field.name: getattr(plan, field.name) for field in fields(Plan)},
        **_results(folder, plan),
        cpu_s=round(sum(each.cpu for each in used), 1),
        wall_s=round(sum(each.wall for each in used), 1),
        peak_memory_gb=round(max(each.memory for each in used) / 1e9, 2),
        **_place(threads),
    )


@dataclass(frozen=True)
class _Used:
    """CPU seconds, seconds by the clock, bytes at the most."""

    cpu: float
    wall: float
    memory: float


@dataclass(frozen=True)
class _Runner:
    plan: Plan
    work: Path
    log: Path
    threads: int
    progress: Callable[[str], None]

    def __call__(self, arguments: list[str]) -> _Used:
        """Run one command to its end; what it says goes into the log."""
        names = ("OMP_NUM", "MKL_NUM", "OPENBLAS_NUM", "NUMBA_NUM", "POLARS_MAX")
        environment = os.environ | {f"{name}_THREADS": str(self.threads) for name in names}
        self.progress(f"{self.plan.row}: recsys {shlex.join(arguments[:3])}")
        started = perf_counter()
        with self.log.open("a", encoding="utf-8") as log:
            command = [sys.executable, "-m", "recsys", *arguments]
            child = subprocess.Popen(command, cwd=self.work, env=environment, stdout=log, stderr=log)
            try:
                _, status, used = os.wait4(child.pid, 0)
            except BaseException:
                child.terminate()
                child.wait()
                raise
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            why = complaint(child.returncode, self.log)
            raise InputError(f"{self.log}: recsys {arguments[0]} of {self.plan.row} failed ({why}).")
        # the kernel counts this process's memory as that of the child's first moment, which is less than any fit's
        unit = 1 if sys.platform == "darwin" else 1024
        return _Used(used.ru_utime + used.ru_stime, perf_counter() - started, used.ru_maxrss * unit)


def _commands(plan: Plan, text: str) -> list[list[str]]:
    """The arguments of each `recsys …`; nothing else is run, since a leaderboard may come from anyone."""
    found = []
    for part in text.split(" && "):
        program, *arguments = shlex.split(part) or [""]
        if program != "recsys" or not arguments or arguments[0] not in VERBS:
            raise InputError(f"{plan.row}: {part!r} is none of the commands recsys {', '.join(VERBS)}.")
        found.append(arguments)
    return found


def _value(arguments: list[str], flag: str) -> str:
    if flag not in arguments[:-1]:
        raise InputError(f"recsys {shlex.join(arguments)}: needs {flag}.")
    return arguments[arguments.index(flag) + 1]


def _results(folder: Path, plan: Plan) -> dict[str, Any]:
    from recsys import checkpoints

    tests = [file for file in folder.rglob("test.json") if (file.parent / "run.json").is_file()]  # not wandb's copy
    if len(tests) != 1:
        raise InputError(f"{plan.row}: left {len(tests)} tests below {folder}, not 1.")
    found = json.loads(tests[0].read_text("utf-8"))
    network = checkpoints.load(tests[0].parent / "checkpoint").network
    return {
        "model": found["model"],
        "metrics": {
            name: Interval(*(round(end, DIGITS) for end in (found["metrics"][key], *found["intervals"][key])))
            for name in METRICS
            if (key := f"test/{name}") in found["metrics"]
        },
        "protocol": "; ".join(f"{key.replace('_', ' ')}: {said}" for key, said in found["protocols"]["full"].items()),
        "fingerprint": found["data_fingerprint"],
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


def _place(threads: int) -> dict[str, Any]:
    """The device that Lightning takes by itself, the machine and the versions."""
    import torch

    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "machine": f"{processor()}, {threads} thread{'s' * (threads > 1)}",
        "versions": ", ".join([f"python {platform.python_version()}", *(_version(name) for name in PACKAGES)]),
    }


def _version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"{package} missing"
