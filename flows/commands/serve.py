"""`dinoflow serve` and `dinoflow deploy`: the deployments of a file, with a server and a worker or for a work pool."""

import asyncio
import os
import secrets
from pathlib import Path

from flows.commands.console import Console
from shared.errors import RecipeError

SERVER_PASSWORD, CLIENT_PASSWORD = "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"
PASSWORD_FILE = "dinoflow-password"
HEARTBEAT_SECONDS = "30"
"""How often a flow shows a sign of life: the least that Prefect allows."""


def serve_forever(file: str | None, workspace: str, host: str, port: int) -> None:
    """Serve the deployments from an own server, or from the one that PREFECT_API_URL names."""
    from flows.orchestration.serving.registry import default_registry, read_registry

    console = Console()
    registry = read_registry(Path(file)) if file else default_registry(workspace)
    registry = registry.model_copy(update={"pool": ""})
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", HEARTBEAT_SECONDS)
    given = os.environ.get("PREFECT_API_URL")
    if given:
        from flows.orchestration.serving.worker import work_until_stopped

        console.say(f"Serving dinoflow's flows from {given}. Stop with Ctrl-C.")
        work_until_stopped(registry)
        return
    from flows.orchestration.pages.report_links import serve_reports_of
    from flows.orchestration.serving.server import server

    serve_reports_of({registry.workspace, *(entry.workspace for entry in registry.deployments)})
    password = _password(host, console)
    if password:
        os.environ[CLIENT_PASSWORD] = password  # the worker, and every flow that it starts, logs in with it
    console.say("Starting Prefect's server …")
    with server(host, port, password) as api:
        os.environ["PREFECT_API_URL"] = api
        from flows.orchestration.serving.worker import work_until_stopped  # Prefect reads its settings when imported

        page = api.removesuffix("/api")
        console.say(f"Open {page}/deployments, choose one, fill its form and run it.")
        console.say("Nothing runs by itself: name a file with cron lines for that." if not file else _schedules(file))
        console.say("Stop with Ctrl-C.")
        work_until_stopped(registry)


def deploy(file: str) -> None:
    """Make the deployments of a file on the server that PREFECT_API_URL names, for the workers of the file's pool."""
    from flows.orchestration.serving.registry import read_registry

    registry = read_registry(Path(file))
    if not registry.pool:
        raise RecipeError(f"{file} needs a work pool to give its runs to, got none. Add `pool: NAME`, or use `serve`.")
    if not os.environ.get("PREFECT_API_URL"):
        raise RecipeError("deploy needs a server, got none. Set PREFECT_API_URL, or use `dinoflow serve FILE`.")
    from flows.orchestration.serving.deployments import deploy_all

    names = asyncio.run(deploy_all(registry))
    console = Console()
    for name in names:
        console.say(name)
    console.say(f"\nNext: prefect worker start --pool {registry.pool}")


def _schedules(file: str) -> str:
    return f"What {file} schedules is on; what is changed on the pages stays changed."


def _password(host: str, console: Console) -> str:
    """Return the password that is set; where others reach the server and none is, one that is made and kept."""
    from flows.orchestration.serving.guarded_server import is_loopback

    given = os.environ.get(SERVER_PASSWORD) or os.environ.get(CLIENT_PASSWORD) or ""
    if given or is_loopback(host):
        return given
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    file = home / PASSWORD_FILE
    if not file.exists():
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(f"dinoflow:{secrets.token_urlsafe(24)}")
    console.say(f"Others reach {host}: the page asks for the password in {file}; {SERVER_PASSWORD} sets another.")
    return file.read_text().strip()
