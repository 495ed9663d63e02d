"""What happens by itself: a published version starts its training, a run that shows no life is marked as crashed."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from flows.orchestration.flows import PUBLISHED
from flows.orchestration.serving.registry import DeploymentEntry, Registry
from flows.recipe.recipe import load_recipe

HEARTBEAT = "prefect.flow-run.heartbeat"
ENDS = ("Completed", "Failed", "Cancelled", "Crashed")


async def keep_automations(registry: Registry, deployments: Mapping[str, UUID]) -> None:
    """Make the automations of a registry, or write those that it says otherwise; a switch on the pages stays.

    `deployments` gives the id of the deployment of each name.
    """
    async with get_client() as client:
        for wanted in automations_of(registry, deployments):
            existing = await client.read_automations_by_name(wanted.name)
            if not existing:
                await client.create_automation(wanted)
            elif existing[0].model_dump(exclude={"id", "enabled"}) != wanted.model_dump(exclude={"enabled"}):
                switched = wanted.model_copy(update={"enabled": existing[0].enabled})
                await client.update_automation(existing[0].id, switched)


def automations_of(registry: Registry, deployments: Mapping[str, UUID]) -> Iterator[AutomationCore]:
    """Yield what a registry wants to happen by itself."""
    yield _lost_runs(registry.lost_after)
    for entry in registry.deployments:
        if entry.after_publish:
            yield _training(entry, deployments[entry.name])


def _lost_runs(seconds: int) -> AutomationCore:
    """Mark a run whose process is gone: on a server of one's own nothing else does, and it would hold its slot."""
    trigger = EventTrigger(
        after={HEARTBEAT},
        expect={HEARTBEAT, *(f"prefect.flow-run.{end}" for end in ENDS)},
        match={"prefect.resource.id": ["prefect.flow-run.*"]},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=seconds),
    )
    return AutomationCore(
        name="dinoflow · mark lost runs",
        description=f"A flow that has shown no sign of life for {seconds} s is marked as crashed, and frees its slot.",
        trigger=trigger,
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=f"No sign of life for {seconds} s.")],
    )


def _training(entry: DeploymentEntry, deployment: UUID) -> AutomationCore:
    dataset = entry.dataset or load_recipe(entry.recipe or None, settings=entry.settings).name
    trigger = EventTrigger(
        expect={PUBLISHED},
        match={"prefect.resource.id": [f"dataset.{dataset}.*"], "dinoflow.workspace": [entry.workspace]},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )
    return AutomationCore(
        name=f"dinoflow · {entry.name} after publishing",
        description=f"A version of {dataset} that is published in {entry.workspace} starts {entry.name!r}.",
        trigger=trigger,
        actions=[RunDeployment(deployment_id=deployment, parameters={"version": "{{ event.payload.version }}"})],
    )
