"""A copy of the code to build in: for tests that add a plug-in as a person does, by one file and one line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("flows", "curation", "training", "shared")


class House:
    """The packages, copied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in PACKAGES:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))

    def add(self, room: str, name: str, text: str, member: str) -> None:
        """Write the plug-in's file, and its class into the union beside a member that stands there."""
        module = name.lower()
        (self.folder / room / f"{module}.py").write_text(text.lstrip())
        init = self.folder / room / "__init__.py"
        before = init.read_text()
        assert before.count(f"| {member}") == 1
        after = before.replace(f"| {member}", f"| {member} | {name}")
        first = after.index("from pydantic import")
        imported = f"from {room.replace('/', '.')}.{module} import {name}\n"
        init.write_text(f"{after[:first]}{imported}{after[first:]}")

    def ask(self, *arguments: str) -> str:
        """Return what Python prints, run with these arguments in the copy."""
        paths = os.pathsep.join([str(self.folder), str(ROOT / "tests")])
        done = subprocess.run(
            [sys.executable, *arguments],
            env=os.environ | {"PYTHONPATH": paths, "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
