"""`dinoflow ablate`: the whole of an ablation in this process, and the last lines it prints."""

from typing import TYPE_CHECKING, Any

from flows.ablation import run_ablation, text
from flows.ablation.results import FOLDER, write
from flows.commands.pipeline import console_for, local_session, open_workspace
from flows.session import Session
from shared.errors import SourceError

if TYPE_CHECKING:
    from flows.recipe.options import Options


def ablate(request: run_ablation.Request, options: "Options") -> dict[str, Any]:
    """Run what is missing of an ablation, write its files, and tell it."""
    chosen = request.variants()
    if not chosen[0].recipe.sources:
        raise SourceError("ablate needs images to curate. Name a folder or URL with --source, as often as needed.")
    console, store = console_for(options), open_workspace(options.workspace)
    console.say(run_ablation.forecast(request, chosen))
    with local_session(chosen[0].recipe, store, console) as session:

        def another(recipe: Any) -> Session:
            return Session(recipe, store, session.executor, console_for(options))  # each measures its own progress

        ablation = run_ablation.prepare(request, chosen, another, console)
        failed = run_ablation.train_all(ablation, session, lambda _, work: work(), console)
    facts = write(ablation, failed)
    for line in (*text.headline(facts), "", *text.lines(text.table(facts)), "", *text.notes(facts)):
        console.say(line)
    folder = store.place(FOLDER, ablation.name)
    console.say(f"\nresults      {folder}/results.json")
    console.say(f"report       {folder}/report.html")
    return facts | {"path": folder}
