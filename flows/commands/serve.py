"""`dinoflow serve`: the deployments, from an own server or from one that runs already."""

import os

from flows.commands.console import Console


def serve_forever(workspace: str, port: int, cron: str) -> None:
    """Serve the deployments from an own server, or from the one that PREFECT_API_URL names."""
    from flows.orchestration.serve import serve_deployments, server

    console = Console()
    given = os.environ.get("PREFECT_API_URL")
    if given:
        console.say(f"Serving dinoflow's flows from {given}. Stop with Ctrl-C.")
        serve_deployments(workspace, cron)
        return
    console.say("Starting Prefect's server …")
    with server(port) as api:
        os.environ["PREFECT_API_URL"] = api
        console.say(f"Open http://127.0.0.1:{port}/deployments, choose `pipeline`, fill the form and run it.")
        console.say("The schedule of `re-curation` is off until you switch it on there. Stop with Ctrl-C.")
        serve_deployments(workspace, cron)
