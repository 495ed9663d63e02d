"""Prefect's history outlasts an upgrade: the database that Prefect 3.6.0 wrote, opened by the one that is installed."""

import json
import lzma
import sqlite3
import urllib.request
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from flows.orchestration.serving.history import ELSEWHERE, keep_history
from flows.orchestration.serving.server import server
from tests.ports import free_port

WRITTEN = Path(__file__).parent / "prefect-3.6.0.db.xz"
"""By a flow of three task runs and an artifact, on SQLite, and Prefect 3.6.0's own temporary server."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    (tmp_path / "prefect.db").write_bytes(lzma.decompress(WRITTEN.read_bytes()))
    return tmp_path


def revision(database: Path) -> str:
    with closing(sqlite3.connect(database)) as opened:
        return str(opened.execute("select version_num from alembic_version").fetchone()[0])


def test_a_server_opens_the_database_of_an_older_prefect_and_keeps_a_copy(home: Path) -> None:
    before = revision(home / "prefect.db")

    def asked(api: str, path: str) -> Any:
        request = urllib.request.Request(api + path, b"{}", {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    with server("127.0.0.1", free_port()) as api:
        [run] = asked(api, "/flow_runs/filter")
        assert (run["name"], run["state_type"]) == ("a curation of long ago", "COMPLETED")
        assert len(asked(api, "/task_runs/filter")) == 3
        assert [artifact["key"] for artifact in asked(api, "/artifacts/filter")] == ["dataset"]
    assert revision(home / "prefect.db") != before
    assert revision(home / f"prefect.db.before-{version('prefect')}") == before


def test_a_copy_is_made_once_for_each_version_and_of_no_other_database(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keep_history("3.9.0") == home / "prefect.db.before-3.9.0"
    assert keep_history("3.9.0") is None
    assert keep_history("3.9.1") == home / "prefect.db.before-3.9.1"
    monkeypatch.setenv(ELSEWHERE[0], "postgresql+asyncpg://prefect@127.0.0.1/prefect")
    assert keep_history("3.9.2") is None


def test_a_new_home_has_nothing_to_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "new"))
    assert keep_history("3.9.0") is None
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["dinoflow-prefect-version"]
