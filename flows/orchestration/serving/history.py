"""Prefect's history over an upgrade: its server changes the database when it starts; a copy of what it was is kept."""

import os
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

DATABASE = "prefect.db"
SEEN = "dinoflow-prefect-version"
"""The file that says by which Prefect the database was opened last."""
ELSEWHERE = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")


def keep_history(now: str = version("prefect")) -> Path | None:
    """Copy the database that another Prefect has opened last, before this one does; return the copy, if any is made.

    Only SQLite in Prefect's home: what names another database makes its own copies.
    """
    if any(os.environ.get(name) for name in ELSEWHERE):
        return None
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    database, seen = home / DATABASE, home / SEEN
    if seen.exists() and seen.read_text() == now:
        return None
    copy = None
    if database.exists():
        copy, draft = home / f"{DATABASE}.before-{now}", home / f".tmp-{DATABASE}"
        with closing(sqlite3.connect(database)) as opened, closing(sqlite3.connect(draft)) as drafted:
            opened.backup(drafted)
        draft.replace(copy)
    home.mkdir(parents=True, exist_ok=True)
    seen.write_text(now)
    return copy
