"""No page of another origin can start anything, and whoever comes from elsewhere needs the password."""

import asyncio
import http.client
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from flows.orchestration.pages.report_links import named_workspaces
from flows.orchestration.serving.asgi import respond
from flows.orchestration.serving.guarded_server import Door, config_of
from tests.flows.orchestration.serving.test_serve import ROOT, heeds_ctrl_c
from tests.ports import free_port
from tests.prefect_home import furnished
from tests.waiting import LIMIT_SECONDS, started, until


def answer(host: str, kind: str, method: str = "POST", **headers: str) -> str:
    """What becomes of a request at the door of a server that listens on `host`."""
    sent: list[Any] = []

    async def inside(*_: Any) -> None:
        sent.append("inside")

    async def receive() -> Any:
        return {}

    async def send(message: Any) -> None:
        sent.append(message.get("status", message["type"]))

    lines = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(Door(inside, host)({"type": kind, "method": method, "headers": lines}, receive, send))
    return str(sent[0])


@pytest.mark.parametrize(
    ("headers", "result"),
    [
        ({"Host": "127.0.0.1:4200"}, "inside"),
        ({"Host": "localhost:4200"}, "inside"),
        ({"Host": "[::1]:4200"}, "inside"),
        ({"Host": "evil.example:4200"}, "403"),  # a name that was bound to this address
        ({"Host": "localhost.evil.example"}, "403"),
        ({"Host": "10.0.0.7:4200"}, "403"),
        ({}, "403"),
        ({"Host": "127.0.0.1:4200", "Origin": "http://127.0.0.1:4200"}, "inside"),
        ({"Host": "127.0.0.1:4200", "Origin": "http://127.0.0.1:8766"}, "403"),
        ({"Host": "127.0.0.1:4200", "Origin": "http://localhost:4200"}, "403"),
        ({"Host": "127.0.0.1:4200", "Origin": "https://evil.example"}, "403"),
        ({"Host": "127.0.0.1:4200", "Origin": "null"}, "403"),
        ({"Host": "127.0.0.1:4200", "Sec_Fetch_Site": "cross-site"}, "403"),
        ({"Host": "127.0.0.1:4200", "Sec_Fetch_Site": "same-origin"}, "inside"),
    ],
)
def test_only_what_names_the_server_and_is_of_its_own_origin_comes_in(headers: dict[str, str], result: str) -> None:
    assert answer("127.0.0.1", "http", **headers) == result
    assert answer("127.0.0.1", "websocket", **headers) == (result if result == "inside" else "websocket.close")


def test_a_link_from_another_page_may_open_the_server() -> None:
    assert answer("127.0.0.1", "http", "GET", Host="localhost:4200", Sec_Fetch_Site="cross-site") == "inside"


def test_a_server_that_others_reach_is_called_by_address_or_its_own_name() -> None:
    assert answer("0.0.0.0", "http", Host="10.0.0.7:4200") == "inside"
    assert answer("gpu1", "http", Host="gpu1:4200") == "inside"
    assert answer("0.0.0.0", "http", Host="evil.example") == "403"


@pytest.fixture(scope="module")
def open_to_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """`dinoflow serve --host 0.0.0.0` in a home of its own, with every deployment registered."""
    home = tmp_path_factory.mktemp("open")
    port, log = free_port(), (home / "log").open("w")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(furnished(home)), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flows.cli", "serve", "--host", "0.0.0.0", "--port", port, "--workspace", home]
    settings: dict[str, Any] = {"cwd": ROOT, "env": environment, "stdout": log, "stderr": log}
    with started(command, preexec_fn=heeds_ctrl_c, **settings) as process:

        def registered() -> bool:
            assert process.poll() is None, (home / "log").read_text()
            try:
                return any(one["name"] == "pipeline" for one in json.loads(asked(port, home, "/deployments/filter")))
            except (OSError, http.client.HTTPException):
                return False

        until(registered, "the worker logs in and registers its deployments", seconds=300)
        yield port, home
        process.send_signal(signal.SIGINT)
        process.wait(60)


def asked(
    port: int, home: Path | None, path: str, data: bytes | None = b"{}", under: str = "/api", **headers: str
) -> bytes:
    told = {"Content-Type": "application/json"} | {key.replace("_", "-"): value for key, value in headers.items()}
    if home:
        password = (home / "dinoflow-password").read_bytes()
        told["Authorization"] = f"Basic {b64encode(password).decode()}"
    request = urllib.request.Request(f"http://127.0.0.1:{port}{under}{path}", data, told)
    with urllib.request.urlopen(request, timeout=20) as response:
        return bytes(response.read())


def test_without_the_password_nothing_is_listed_or_started(open_to_all: tuple[int, Path]) -> None:
    port, home = open_to_all
    assert (home / "dinoflow-password").stat().st_mode & 0o077 == 0
    password = (home / "dinoflow-password").read_text()
    assert password.partition(":")[2] not in (home / "log").read_text()
    for path in ("/deployments/filter", "/flows/", "/flow_runs/filter"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            asked(port, None, path)
        assert refused.value.code == 401


def test_no_other_server_is_started_beside_the_one_with_the_password(open_to_all: tuple[int, Path]) -> None:
    """Prefect starts one, open to all on this machine, where it is imported before it is told of ours."""
    assert "temporary server" not in (open_to_all[1] / "log").read_text()


def test_a_report_asks_for_the_password_too(open_to_all: tuple[int, Path]) -> None:
    port, home = open_to_all
    (home / "report.html").write_text("the report")
    [place] = named_workspaces([str(home)])
    page = f"/reports/{place}/report.html"
    with pytest.raises(urllib.error.HTTPError) as refused:
        asked(port, None, page, None, under="")
    assert refused.value.code == 401
    assert refused.value.headers["WWW-Authenticate"].startswith("Basic")
    assert asked(port, home, page, None, under="") == b"the report"


@pytest.mark.parametrize("forged", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_forged_requests_are_refused_even_with_the_password(
    open_to_all: tuple[int, Path], forged: dict[str, str]
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        asked(*open_to_all, "/deployments/filter", **forged)
    assert refused.value.code == 403


PAGE = """<script>
const url = "http://127.0.0.1:PORT/api/flows/";
Promise.allSettled(["text/plain", "application/json", ""].flatMap(type => ["no-cors", "cors"].map(mode =>
  fetch(url, {method: "POST", mode, body: new Blob(['{"name": "by-a-page-' + mode + '"}'], {type})}))))
  .then(all => { document.title = all.map(one => one.status).join(" "); document.body.textContent = "asked"; });
</script><body></body>"""


@pytest.fixture
def flows_behind_the_door() -> Iterator[tuple[int, list[str]]]:
    """A server as ours, of an application that notes the flows that it is asked to make; its port and the notes."""
    made: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        made.append((await receive())["body"].decode())
        await respond(send, 201, "made")

    port = free_port()
    server = uvicorn.Server(config_of(Door(app, "127.0.0.1"), "127.0.0.1", port))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "the server listens")
    yield port, made
    server.should_exit = True
    thread.join(LIMIT_SECONDS)


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_a_page_of_another_origin_in_a_browser_makes_nothing(
    flows_behind_the_door: tuple[int, list[str]], tmp_path: Path
) -> None:
    """Without a password, as on loopback: the door alone keeps it out."""
    port, made = flows_behind_the_door
    (tmp_path / "page").mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "page"))
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    (tmp_path / "page/index.html").write_text(PAGE.replace("PORT", str(port)))
    place = f"http://127.0.0.1:{pages.server_port}/index.html"
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [*browser, "--virtual-time-budget=20000", "--dump-dom", place]
    page = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True).stdout
    assert "asked" in page
    assert made == []
    asked(port, None, "/flows/", b'{"name": "by-us"}')
    assert made == ['{"name": "by-us"}']
    pages.shutdown()
