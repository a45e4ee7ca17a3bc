"""What a fit has freed goes back to the system."""

import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys.training.memory import ReturnMemory, return_memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's heap is trimmed")
NOTHING: Any = None  # the callback asks neither the trainer nor the module for anything


def resident_mb() -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1e3


def freed_under_what_is_kept() -> np.ndarray:
    """192 MB in small pieces, all freed but the last, which the heap cannot shrink below."""
    pieces = [np.ones(8000) for _ in range(3000)]
    return pieces[-1]


def test_freed_pieces_below_one_that_is_kept_are_returned() -> None:
    kept = freed_under_what_is_kept()
    held = resident_mb()
    return_memory()
    assert held - resident_mb() > 150
    assert kept.sum() == 8000


def test_a_fit_returns_memory_only_every_so_often() -> None:
    return_memory()
    seldom, often = ReturnMemory(every=1000), ReturnMemory(every=0)
    kept = freed_under_what_is_kept()
    held = resident_mb()
    seldom.on_train_batch_end(NOTHING, NOTHING, NOTHING, NOTHING, 0)
    assert held - resident_mb() < 10
    often.on_train_batch_end(NOTHING, NOTHING, NOTHING, NOTHING, 0)
    assert held - resident_mb() > 150
    assert kept.sum() == 8000
