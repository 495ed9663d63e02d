"""The ablation as a Prefect flow: a form, a task run for each training, and an artifact with the verdicts."""

from collections.abc import Callable
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.ablation import run_ablation, text
from flows.ablation.results import write
from flows.ablation.trainings import Proxy
from flows.orchestration.flows import open_session
from flows.orchestration.forms import Texts, form
from flows.orchestration.pages.run_names import named
from shared.errors import WorkFailedError


@flow(name="ablate", flow_run_name=named("ablate"))
@form
def ablate(
    recipe: str = "laptop",
    workspace: str = "workspace",
    sources: Texts = (),
    name: str = "",
    settings: Texts = (),
    vary: Texts = ("curation.dedup.near=off",),
    grid: bool = False,
    seeds: int = 3,
    steps: int | None = None,
) -> dict[str, Any]:
    """Did a rule of curation help? Short trainings at equal compute on variants of it, with error bars."""
    request = run_ablation.Request(recipe, settings, sources, name or None, vary, grid, seeds, steps)
    chosen, log = request.variants(), Log()
    log.say(run_ablation.forecast(request, chosen))
    session = open_session(chosen[0].recipe, workspace)
    ablation = run_ablation.prepare(request, chosen, lambda one: open_session(one, workspace), log)
    failed = run_ablation.train_all(ablation, session, _as_task, log)
    facts = write(ablation, failed)
    create_markdown_artifact(markdown(facts), key="ablation", description=f"ablation {ablation.name}")
    if failed:
        raise WorkFailedError("\n".join(["Not all trainings ended. Run it again for the rest:", *failed]))
    return {"ablation": ablation.name}


class Log:
    """Tells the flow run's log."""

    def say(self, text: str = "") -> None:
        """Log a line."""
        if text.strip():
            get_run_logger().info(text.strip())


def markdown(facts: text.Results) -> str:
    """Return the table of verdicts with what is to be said above and below it."""
    head, *rows = text.table(facts)
    numbers = "|---|" + "--:|" * (len(head) - 2) + "---|"
    table = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    notes = (f"\n{line}" for line in text.notes(facts))
    return "\n".join([f"# {facts['name']}", "", *text.headline(facts), "", table[0], numbers, *table[1:], *notes])


def _as_task(proxy: Proxy, work: Callable[[], None]) -> None:
    """Train in a task of its own, called directly: only so is it told to stop when the flow is cancelled."""

    @task(name="ablate", task_run_name=f"{proxy.variant}, seed {proxy.seed}", cache_policy=NO_CACHE)
    def training() -> None:
        work()

    training()
