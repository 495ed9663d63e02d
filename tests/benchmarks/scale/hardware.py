"""The first line of every table: where and when it was measured."""

import datetime
import os
import platform
from pathlib import Path


def hardware() -> str:
    """Return processor, cores, Python, date."""
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    model = models[0] if models else platform.processor()
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {datetime.date.today()}."
