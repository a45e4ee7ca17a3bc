"""What figures depend on besides the code: the processor that they were measured on."""

import platform
import re
from pathlib import Path


def processor() -> str:
    """Its name and the instructions that torch uses on it, as in "AMD EPYC, AVX2"."""
    import torch

    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text("utf-8")) if info.is_file() else None
    name = model[1] if model else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
