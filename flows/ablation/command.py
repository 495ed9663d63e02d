"""`dinoflow ablate`: the whole of an ablation in this process, and the last lines it prints."""

import json
from typing import TYPE_CHECKING, Any

from flows.ablation import running, telling
from flows.ablation.page import render_ablation
from flows.ablation.proxies import Ablation
from flows.ablation.results import results
from flows.commands import console_for, local_session, open_workspace
from flows.session import Session
from shared.errors import SourceError

if TYPE_CHECKING:
    from flows.cli.app import Options

FOLDER = "ablations"


def ablate(request: running.Request, options: "Options") -> dict[str, Any]:
    """Run what is missing of an ablation, write its files, and tell it."""
    chosen = request.variants()
    if not chosen[0].recipe.sources:
        raise SourceError("ablate needs images to curate. Name a folder or URL with --source, as often as needed.")
    console, store = console_for(options), open_workspace(options.workspace)
    console.say(running.forecast(request, chosen))
    with local_session(chosen[0].recipe, store, console) as session:

        def another(recipe: Any) -> Session:
            return Session(recipe, store, session.executor, console_for(options))  # each measures its own progress

        ablation = running.prepare(request, chosen, another, console)
        failed = running.train_all(ablation, session, lambda _, work: work(), console)
    facts = write(ablation, failed)
    for line in (*telling.headline(facts), "", *telling.lines(telling.table(facts)), "", *telling.notes(facts)):
        console.say(line)
    folder = store.path(FOLDER, ablation.name)
    console.say(f"\nresults      {folder}/results.json")
    console.say(f"report       {folder}/report.html")
    return facts | {"path": folder}


def write(ablation: Ablation, failed: list[str]) -> dict[str, Any]:
    """Write WORKSPACE/ablations/NAME and return the facts."""
    facts, folder = results(ablation, failed), f"{FOLDER}/{ablation.name}"
    ablation.store.write(f"{folder}/results.json", json.dumps(facts, indent=1))
    ablation.store.write(f"{folder}/report.html", render_ablation(facts))
    return facts
