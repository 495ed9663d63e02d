"""Deployments that last: made where they are not there; else only what the file or the code changed is written.

Any write to a deployment deletes the runs that its schedule has planned, and what was changed on the pages is not the
file's to take back: a deployment's version tells what the file said when it was written last.
"""

import inspect
import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from uuid import UUID

from prefect import Flow, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.types.entrypoint import EntrypointType

from flows.orchestration import flows
from flows.orchestration.ablation_flow import ablate
from flows.orchestration.forms import worded
from flows.orchestration.gc_flow import gc
from flows.orchestration.serving.automations import keep_automations
from flows.orchestration.serving.registry import DeploymentEntry, Registry, stage_names
from flows.recipe.recipe import default_recipe

FLOWS: dict[str, Flow[..., Any]] = {
    "run": flows.run,
    "curate": flows.curate,
    "pretrain": flows.pretrain,
    "evaluate": flows.evaluate,
    "ablate": ablate,
    "gc": gc,
}
TAG, STAGE_TAG = "dinoflow", "single stage"
"""By them the list of deployments is filtered: what the file names, or the stages."""
FROM_CODE = ("entrypoint", "description", "parameter_openapi_schema", "tags")
"""What the code says of a deployment; the rest is the file's, until the pages change it."""


class LastingDeployment(RunnerDeployment):
    """A deployment that keeps what was changed on the pages, and the runs that are planned."""

    async def aapply(self, *_: Any, **__: Any) -> UUID:
        """Make the deployment, or write what changed; return its id."""
        self._parameter_openapi_schema = worded(self._parameter_openapi_schema)
        async with get_client() as client:
            try:
                existing = await client.read_deployment_by_name(self.full_name)
            except ObjectNotFound:
                return await super().aapply()
            changes = {key: value for key, value in self._from_code().items() if getattr(existing, key) != value}
            if existing.version != self.version:
                schedules = [one.model_dump(exclude_unset=True) for one in self.schedules or []]
                changes |= {"version": self.version, "parameters": self.parameters, "schedules": schedules}
            if changes:
                await client.update_deployment(existing.id, DeploymentUpdate(**changes))
            return existing.id

    def _from_code(self) -> dict[str, Any]:
        schema = self._parameter_openapi_schema.model_dump(mode="json", exclude_unset=True)
        values = {key: getattr(self, key) for key in FROM_CODE if key != "parameter_openapi_schema"}
        return values | {"parameter_openapi_schema": json.loads(json.dumps(schema))}


async def deploy_all(registry: Registry) -> list[str]:
    """Make or update every deployment and automation of a registry; return the names of the deployments."""
    made = deployments_of(registry)
    ids = {one.name: await one.aapply() for one in made}
    await keep_automations(registry, ids)
    return [one.full_name for one in made]


def deployments_of(registry: Registry) -> list[LastingDeployment]:
    """Return the registry's deployments, and one for each stage alone."""
    made = [deployment_of(entry, registry.pool) for entry in registry.deployments]
    titles = stage_names()
    for stage in flows.SINGLE:
        plain = {"workspace": registry.workspace}
        made.append(_made(stage, titles[stage.name], plain, [], registry.pool, STAGE_TAG))
    return made


def deployment_of(entry: DeploymentEntry, pool: str = "") -> LastingDeployment:
    """Return the deployment of an entry."""
    flow = FLOWS[entry.does]
    schedules = []
    if entry.cron:
        cron = CronSchedule(cron=entry.cron, timezone=entry.timezone)
        schedules = [DeploymentScheduleCreate(schedule=cron, active=entry.active)]
    return _made(flow, entry.name, dict(parameters_of(entry, flow)), schedules, pool)


def parameters_of(entry: DeploymentEntry, flow: Flow[..., Any]) -> Iterator[tuple[str, Any]]:
    """Yield what an entry sets of a flow's parameters; the rest keep the flow's defaults."""
    values = {
        "recipe": entry.recipe or default_recipe(),
        "workspace": entry.workspace,
        "sources": list(entry.sources),
        "name": entry.dataset,
        "settings": list(entry.settings),
        "delete": entry.delete,
        "hours": entry.hours,
    }
    taken = inspect.signature(flow.fn).parameters
    yield from ((key, value) for key, value in values.items() if value and key in taken)


def _made(
    flow: Flow[..., Any],
    name: str,
    parameters: dict[str, Any],
    schedules: list[DeploymentScheduleCreate],
    pool: str,
    tag: str = TAG,
) -> LastingDeployment:
    said = json.dumps([parameters, [one.model_dump(mode="json") for one in schedules]], sort_keys=True)
    made = LastingDeployment.from_flow(
        flow,
        name,
        parameters=parameters,
        tags=[tag],
        version=sha256(said.encode()).hexdigest()[:8],
        entrypoint_type=EntrypointType.MODULE_PATH,
        work_pool_name=pool or None,
    )
    assert isinstance(made, LastingDeployment)
    made.schedules = [*schedules]
    return made
