"""`dinoflow explain WORKSPACE IMAGE`: the whole story of one image."""

import sys
from typing import Any

from flows.commands.console import Console
from flows.inspect.image_facts import image_facts
from flows.inspect.image_text import print_image
from flows.inspect.workspace import existing
from flows.report.kit.reason_text import Checks
from shared.dataset_version import open_version


def explain(workspace: str, what: str, name: str | None, json: bool) -> dict[str, Any]:
    """Print, and return, everything known about one image."""
    facts = image_facts(workspace, what, name)
    recipe = open_version(existing(workspace), facts["dataset"], facts["version"]).info.get("recipe", {})
    if not json:
        print_image(Console(sys.stdout), facts, Checks.of(recipe))
    return facts
