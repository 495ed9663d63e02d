"""`dinoflow datasets WORKSPACE gc`: what no kept version needs is told, and with --yes deleted."""

import sys
from typing import Any

from flows.commands.console import Console
from flows.inspect.workspace import existing
from flows.plan.garbage import collect


def collect_garbage(workspace: str, yes: bool, hours: float, json: bool) -> dict[str, Any]:
    """Print, and return, what no kept version needs; with `yes`, delete it. What is younger than `hours` stays."""
    console = Console(sys.stderr if json else None, quiet=json)
    facts = collect(existing(workspace), delete=yes, hours=hours, say=console.say)
    if facts["files"] and not yes:
        console.say("Run it again with --yes to have them deleted.")
    return facts
