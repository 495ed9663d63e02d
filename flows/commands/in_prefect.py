"""Runs a flow from the command line: Prefect is imported quietly, and only where there is work."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flows.commands.console import Console
from shared.errors.secrets import redacted_tree
from shared.images.file_names import absolute
from shared.params import Compute

if TYPE_CHECKING:
    from flows.recipe.options import Options


def flow_arguments(recipe: str | None, options: "Options") -> dict[str, Any]:
    """Return a request as the parameters of a flow."""
    from flows.recipe.recipe import default_recipe

    arguments: dict[str, Any] = {
        "recipe": recipe or default_recipe(),
        "workspace": absolute(options.workspace),
        "sources": [absolute(url) for url in options.source],
        "name": options.name or "",
        "settings": list(options.settings),
    }
    return dict(redacted_tree(arguments))  # Prefect stores them


@contextmanager
def prefect(compute: Compute, console: Console) -> Iterator[None]:
    """Import Prefect quietly, with our console in place of its log on the terminal."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    if not os.environ.get("PREFECT_API_URL"):
        console.say("Starting a temporary Prefect server; `dinoflow serve` starts one that stays, with a UI …")
    started = time.monotonic()
    from flows.orchestration.serving.temporary_server import temporary_server

    reach_server = temporary_server(compute)
    from flows.orchestration import flows  # seconds, in which the server starts

    reach_server()
    flows.CONSOLE[:] = [console]
    try:
        yield
    finally:
        flows.CONSOLE.clear()
        console.say(f"\nDone in {time.monotonic() - started:,.0f} s.")
