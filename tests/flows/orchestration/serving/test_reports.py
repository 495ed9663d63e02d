"""A report opens from any machine that reaches the pages, with their password, and nothing else of a workspace does."""

import asyncio
import re
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from flows.orchestration.pages.report_links import SERVED, report_line, serve_reports_of, served_workspaces
from flows.orchestration.serving.reports import Reports
from shared.errors import UserError
from shared.storage import Store

PASSWORD = "dinoflow:secret"
SHOWN = ("report.html", "datasets/pets & co/v0001/report.html", "runs/pets-v0001-abc/report.html")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv(SERVED, raising=False)
    store = Store(str(tmp_path / "my work"))
    for name in (*SHOWN, "datasets/pets & co/v0001/dataset.json", "runs/pets-v0001-abc/config.json"):
        store.write(name, f"this is {name}")
    (tmp_path / "report.html").write_text("outside")
    serve_reports_of([store.url])
    return store


def fetched(path: str, password: str = PASSWORD, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    """What becomes of a request: status, body and headers."""
    sent: list[Any] = []

    async def inside(*_: Any) -> None:
        sent.extend([{"status": 200, "headers": []}, {"body": b"Prefect's"}])

    async def send(message: Any) -> None:
        sent.append(message)

    login = [(b"authorization", f"Basic {b64encode(password.encode()).decode()}".encode())] if password else []
    scope = {"type": "http", "path": path, "method": method, "headers": login}
    asyncio.run(Reports(inside, served_workspaces(), PASSWORD)(scope, inside, send))
    return sent[0]["status"], sent[1]["body"].decode(), {k.decode(): v.decode() for k, v in sent[0]["headers"]}


def link(store: Store, name: str) -> str:
    """Where the line of an artifact leads to, as a browser sends it."""
    from urllib.parse import unquote

    address = re.fullmatch(r"\[Open the report\]\(([^) ]+)\), which is `.+`\.", report_line(store, *name.split("/")))
    assert address
    return unquote(address[1])


@pytest.mark.parametrize("name", SHOWN)
def test_the_link_of_an_artifact_leads_to_the_report(workspace: Store, name: str) -> None:
    status, body, headers = fetched(link(workspace, name))
    assert (status, body) == (200, f"this is {name}")
    assert headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in headers["content-security-policy"], "no script runs in one"
    assert fetched(link(workspace, name), method="HEAD")[:2] == (200, "")


def test_without_the_password_the_browser_is_told_to_ask_for_it(workspace: Store) -> None:
    for wrong in ("", "dinoflow:guess"):
        status, body, headers = fetched(link(workspace, "report.html"), wrong)
        assert status == 401
        assert headers["www-authenticate"].startswith("Basic")
        assert "this is" not in body


@pytest.mark.parametrize(
    "path",
    [
        "datasets/pets & co/v0001/dataset.json",
        "runs/pets-v0001-abc/config.json",
        "../report.html",
        "datasets/../../report.html",
        "datasets/pets & co/../report.html",
        "runs/../report.html",
        "runs/./report.html",
        "runs//report.html",
        "//etc/passwd",
        "datasets/a/b/c/report.html",
        "runs/\0/report.html",
        "runs/gone/report.html",
        "",
    ],
)
def test_nothing_else_is_read(workspace: Store, path: str) -> None:
    root = link(workspace, "report.html").removesuffix("report.html")
    assert fetched(root + path)[0] == 404


def test_other_workspaces_and_other_requests_get_nothing(workspace: Store, tmp_path: Path) -> None:
    assert fetched("/reports/else-abcdef/report.html")[0] == 404
    assert fetched(link(workspace, "report.html"), method="POST")[0] == 405
    assert fetched("/api/flows")[:2] == (200, "Prefect's")
    other = Store(str(tmp_path / "other"))
    assert report_line(other, "report.html") == f"Report: `{tmp_path}/other/report.html`"


def test_a_list_of_workspaces_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVED, "/data/work")
    with pytest.raises(UserError, match=r"DINOFLOW_REPORTS needs a JSON list .* got /data/work"):
        served_workspaces()


def test_what_serve_asks_before_it_knows_its_server_imports_nothing_of_prefect() -> None:
    asked = "pages.report_links", "serving.registry", "serving.server"
    words = "; ".join(["import sys", *(f"import flows.orchestration.{name}" for name in asked)])
    subprocess.run([sys.executable, "-c", f"{words}; assert 'prefect' not in sys.modules"], check=True, timeout=300)
