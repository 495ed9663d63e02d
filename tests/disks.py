"""Disks that are soon full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str, in_use: bool = False) -> Iterator[Path]:
    """A tmpfs of this size, as 200k, in a new folder; where none may be mounted, the test is skipped.

    In the end nobody has a file of it open, unless it is `in_use`.
    """
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
    if subprocess.run(mount, capture_output=True, check=False, timeout=60).returncode:
        pytest.skip("needs to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", *(["--lazy"] if in_use else []), folder], check=True, timeout=60)
