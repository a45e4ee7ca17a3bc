"""`recsys doctor`: what this machine has, what is missing and how to get it; it works where little else does."""

import argparse
import os
import platform
import sysconfig
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from recsys.errors import InputError
from recsys.machine import processor

if TYPE_CHECKING:
    from packaging.requirements import Requirement

INSTALL_RECBOLE = "pip install --no-deps recbole==1.2.1"
PURPOSES = {
    "export": "checkpoints as ONNX",
    "ann": "approximate search",
    "serve": "recommendations over HTTP",
    "sweep": "searching settings by recsys sweep",
    "engines": "conversion of logs that outgrow one machine",
    "dev": "tests and checks",
}
COMPROMISED = ("2.6.2", "2.6.3")  # releases of lightning that carried malware; gone from the index since


class Finding(NamedTuple):
    """One line of the report; a `remedy` makes it a fault, and the command fail."""

    name: str
    value: str
    remedy: str = ""


def main(args: list[str]) -> None:
    """No options: only `--help` is parsed, by the standard library, because jsonargparse may be what is missing."""
    argparse.ArgumentParser(prog="recsys doctor", description=doctor.__doc__).parse_args(args)
    doctor()


def doctor() -> None:
    """Print versions, devices, threads and what is missing; exit code 2 when something required is."""
    faults: list[Finding] = []
    sections: dict[str, Callable[[], Iterator[Finding]]] = {
        "System": system,
        "Packages": packages,
        "RecBole": recbole,
        "Devices": devices,
        "Compiled metrics": compiled_metrics,
        "Extras": extras,
    }
    for title, look in sections.items():
        print(title)
        for finding in _surviving(look):
            print(f"  {finding.name:<16}{finding.value}")
            if finding.remedy:
                print(f"  {'':<16}-> {finding.remedy}")
                faults.append(finding)
    if faults:
        raise InputError("; ".join(f"{fault.name} {fault.value}: {fault.remedy}" for fault in faults) + ".")


def system() -> Iterator[Finding]:
    """The interpreter, the platform and what the environment takes on disk."""
    site_packages = Path(sysconfig.get_path("purelib"))
    size = sum(file.lstat().st_size for file in site_packages.rglob("*") if not file.is_dir())
    yield Finding("Python", f"{platform.python_version()} ({platform.python_implementation()})")
    yield Finding("platform", platform.platform())
    yield Finding("site-packages", f"{size / 1e6:,.0f} MB in {site_packages}")


def packages() -> Iterator[Finding]:
    """This package and everything that it requires, held against the versions that it asks for."""
    yield Finding("recsys-zoo", metadata.version("recsys-zoo"))
    for requirement in _required():
        version = _version(requirement.name)
        install = f"pip install '{requirement.name}{requirement.specifier}'"
        if version is None:
            yield Finding(requirement.name, "missing", install)
        elif requirement.name == "lightning" and version in COMPROMISED:
            yield Finding(requirement.name, f"{version}, a compromised release (GHSA-w37p-236h-pfx3)", install)
        elif not requirement.specifier.contains(version, prereleases=True):
            yield Finding(requirement.name, f"{version}, which does not fit", install)
        else:
            yield Finding(requirement.name, version)


def recbole() -> Iterator[Finding]:
    """RecBole, which is installed beside the requirements; importing the zoo's models imports it."""
    version = _version("recbole")
    if version is None:
        yield Finding("recbole", "missing", INSTALL_RECBOLE)
        return
    import recsys.models  # noqa: F401

    yield Finding("recbole", f"{version}, importable")


def devices() -> Iterator[Finding]:
    """What there is to train on, and how many threads torch would use."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("CPU", f"{processor()}; {cores} cores, {torch.get_num_threads()} torch threads")
    built = f"torch {torch.__version__} is built for CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    if not torch.cuda.is_available():
        yield Finding("CUDA", f"no device ({built})")
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        yield Finding(f"CUDA {index}", f"{device.name}, {device.total_memory / 2**30:.0f} GiB ({built})")
    yield Finding("MPS", "available" if torch.backends.mps.is_available() else "no device")


def compiled_metrics() -> Iterator[Finding]:
    """Where numba keeps what it compiled (asked of numba itself), and its threads."""
    import numba

    from recsys.metrics.compiled import compiled

    cache = compiled(_version).stats.cache_path  # type: ignore[attr-defined]
    yield Finding("numba threads", str(numba.config.NUMBA_NUM_THREADS))  # get_num_threads() would start them
    yield Finding("numba cache", cache or "no writable folder: compiled anew in every process; set NUMBA_CACHE_DIR")


def extras() -> Iterator[Finding]:
    """The optional requirements: what each extra is for, and what of it is here."""
    for extra, purpose in PURPOSES.items():
        missing = [requirement.name for requirement in _required(extra) if _version(requirement.name) is None]
        state = f"missing {', '.join(missing)}: pip install 'recsys-zoo[{extra}]'" if missing else "present"
        yield Finding(extra, f"{purpose}: {state}")


def _surviving(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of one section; an import that fails on the way becomes a finding itself."""
    try:
        yield from look()
    except (ImportError, OSError, InputError) as error:
        yield Finding(look.__name__, f"cannot be examined: {error}", "install again what it names")


def _required(extra: str = "") -> list["Requirement"]:
    """The requirements of this package, or those that `extra` adds to them."""
    from packaging.requirements import Requirement

    declared = [Requirement(line) for line in metadata.requires("recsys-zoo") or ()]
    plain = [r for r in declared if r.marker is None or r.marker.evaluate({"extra": ""})]
    if not extra:
        return plain
    return [r for r in declared if r not in plain and r.marker is not None and r.marker.evaluate({"extra": extra})]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
