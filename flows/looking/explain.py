"""`dinoflow explain WORKSPACE IMAGE`: the whole story of one image."""

import sys
from typing import Any

from curation.report.dataset import verified_by
from flows.console import Console
from flows.looking.opening import existing
from flows.looking.story import story
from flows.looking.telling import tell
from shared.published import open_version


def explain(workspace: str, what: str, name: str | None, json: bool) -> dict[str, Any]:
    """Print, and return, everything known about one image."""
    facts = story(workspace, what, name)
    recipe = open_version(existing(workspace), facts["dataset"], facts["version"]).info.get("recipe", {})
    if not json:
        tell(Console(sys.stdout), facts, verified_by(recipe))
    return facts
