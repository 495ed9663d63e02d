"""The first line of every table: where and when it was measured."""

import datetime
import os
import platform
from pathlib import Path

from threadpoolctl import threadpool_info


def hardware() -> str:
    """Return processor, cores, what NumPy's OpenBLAS takes the processor for, Python, date."""
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    model = models[0] if models else platform.processor()
    kernels = [each["architecture"] for each in threadpool_info() if "numpy" in each["filepath"]]
    blas = f"OpenBLAS for {kernels[0]}, " if kernels else ""
    python, today = platform.python_version(), datetime.date.today()
    return f"{model}, {os.cpu_count()} cores, {blas}Python {python}, {today}."
