"""`dinoflow serve`: the deployments, from an own server or from one that runs already."""

import os
import secrets
from pathlib import Path

from flows.commands.console import Console

SERVER_PASSWORD, CLIENT_PASSWORD = "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"
PASSWORD_FILE = "dinoflow-password"


def serve_forever(workspace: str, host: str, port: int, cron: str) -> None:
    """Serve the deployments from an own server, or from the one that PREFECT_API_URL names."""
    from flows.orchestration.serve import serve_deployments, server

    console = Console()
    given = os.environ.get("PREFECT_API_URL")
    if given:
        console.say(f"Serving dinoflow's flows from {given}. Stop with Ctrl-C.")
        serve_deployments(workspace, cron)
        return
    password = _password(host, console)
    if password:
        os.environ[CLIENT_PASSWORD] = password  # the worker, and every flow that it starts, logs in with it
    console.say("Starting Prefect's server …")
    with server(host, port, password) as api:
        os.environ["PREFECT_API_URL"] = api
        page = api.removesuffix("/api")
        console.say(f"Open {page}/deployments, choose `pipeline`, fill the form and run it.")
        console.say("The schedule of `re-curation` is off until you switch it on there. Stop with Ctrl-C.")
        serve_deployments(workspace, cron)


def _password(host: str, console: Console) -> str:
    """Return the password that is set; where others reach the server and none is, one that is made and kept."""
    from flows.orchestration.guarded_server import is_loopback

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
