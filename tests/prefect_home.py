"""Homes for Prefect with a database made already: its hundred migrations take seconds, and are Prefect's own claim."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".pytest_cache/d/prefect"
KEPT = CACHE / f"{version('prefect')}.db"
DATABASE = "prefect.db"
MAKE = """
import asyncio
from prefect.server.database import provide_database_interface
asyncio.run(provide_database_interface().create_db())
"""


def furnished(home: Path) -> Path:
    """Put a new database of the Prefect that is installed into a home that has none; return the home."""
    _make_once()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / DATABASE).exists():
        shutil.copy(KEPT, home / DATABASE)
    return home


def _make_once() -> None:
    """Make what is copied from then on; of pytest's processes, those that come meanwhile wait for it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if KEPT.exists():
            return
        with tempfile.TemporaryDirectory(dir=CACHE) as home:
            plain = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
            subprocess.run([sys.executable, "-c", MAKE], env=plain | {"PREFECT_HOME": home}, check=True, timeout=300)
            draft = Path(home, DATABASE)
            assert not Path(f"{draft}-wal").exists(), "all is in the one file"
            draft.replace(KEPT)
