"""Training with compiled layers: `torch.compile` of what a network repeats, each layer in its place."""

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import nn

from recsys.errors import InputError
from recsys.models import Model

NO_PATTERNS: dict[str, str | int | bool | Callable[..., object]] = {"pattern_matcher": False}
"""torch 2.13 takes any softmax between two products for that of attention (pytorch/pytorch#196468, #195320)."""


def compile_layers(network: Model, device: str) -> int:
    """Have each repeated layer compiled when it is first called, and give their number.

    A layer is a module of several parts that stands in a list; in a lone matrix there is nothing to fuse. Layers alike
    share what is compiled. Names of weights stay, and so do checkpoints.

    Raises:
        InputError: nothing is repeated; on a CPU, no C++ compiler or no headers of Python.
    """
    lists = [part for part in network.modules() if isinstance(part, (nn.ModuleList, nn.Sequential))]
    layers = [layer for part in lists for layer in part if any(layer.children())]
    if not layers:
        raise InputError(f"--model.compile_layers: {network.title} has no repeated layers to compile; leave it out.")
    if device == "cpu":
        _check_compiler()
    for layer in layers:
        layer.compile(dynamic=True, options=NO_PATTERNS)
    return len(layers)


def uncompiled(compiled: bool) -> AbstractContextManager[object]:
    """What is called inside runs as it will from a checkpoint, layer by layer, and has nothing compiled for itself."""
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def _check_compiler() -> None:
    """torch looks for both in these places, but only when the first step is under way."""
    compiler = os.environ.get("CXX", {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++"))
    if shutil.which(compiler) is None:
        raise InputError(f"--model.compile_layers: no C++ compiler {compiler!r}; install one or set CXX.")
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        raise InputError(f"--model.compile_layers: no Python.h in {headers}; install Python's headers (python3-dev).")
