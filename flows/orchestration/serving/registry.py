"""The deployments, in a file of the user's: what each does, with what, and when. One registry for serve and deploy."""

from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import Field, ValidationError, model_validator

from curation.stages import STAGES
from flows.recipe.errors import explain
from flows.recipe.recipe import load_recipe, shipped
from shared.errors import RecipeError, SourceError
from shared.images.file_names import absolute
from shared.params import Settings

CATCH_UP = "0 4 * * *"
"""When a training that follows publishing looks for a version that it missed, unless its entry says otherwise."""
Act = Literal["run", "curate", "pretrain", "evaluate", "ablate", "gc"]
CURATES = ("run", "curate", "ablate")


class DeploymentEntry(Settings):
    """One deployment."""

    name: str = Field(pattern=r"^[^/%&><]+$")
    """What the pages call it."""
    does: Act
    """run = the whole pipeline; curate, pretrain, evaluate = one act of it; ablate = compare variants of a recipe;
    gc = tell, or with `delete: true` delete, what no published version of the workspace needs."""
    recipe: str = ""
    """A shipped recipe, or the path of a YAML file; "" = the one for this machine."""
    workspace: str = ""
    """Folder or URL for datasets, runs and the stage cache; "" = the file's."""
    sources: tuple[str, ...] = ()
    """Folders or URLs of images, in place of the recipe's."""
    dataset: str = ""
    """Name of the dataset; "" = the recipe's."""
    settings: tuple[str, ...] = ()
    """Changes to the recipe, each as KEY=VALUE."""
    cron: str = ""
    """When it runs by itself, as 0 2 * * * for every night at two; "" = never."""
    timezone: str = "UTC"
    """Time zone of cron, as Europe/Berlin."""
    active: bool = True
    """Whether cron is on from the beginning; the pages switch it on and off."""
    delete: bool = False
    """gc: delete it, not only tell."""
    hours: float | None = Field(default=None, ge=1)
    """gc: what was written in the last so many hours stays; a day's where none is given."""
    after_publish: bool = False
    """Start whenever a version of the dataset is published; and by cron, every night at four where none is given,
    should one have been missed. A version that is trained on already costs a moment."""

    @model_validator(mode="after")
    def _has_a_time_zone(self) -> Self:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"timezone must be a name such as Europe/Berlin, got {self.timezone!r}") from None
        return self

    @model_validator(mode="after")
    def _only_training_follows_publishing(self) -> Self:
        if self.after_publish and self.does != "pretrain":
            raise ValueError(f"after_publish needs does: pretrain, got {self.does}")
        return self

    @model_validator(mode="after")
    def _only_gc_deletes(self) -> Self:
        if (self.delete or self.hours is not None) and self.does != "gc":
            raise ValueError(f"delete and hours need does: gc, got {self.does}")
        return self


class Registry(Settings):
    """All deployments of a file."""

    workspace: str = "workspace"
    """Folder or URL for datasets, runs and the stage cache, of every deployment that names no other."""
    pool: str = ""
    """Work pool that `dinoflow deploy` gives the runs to; `dinoflow serve` does them itself."""
    lost_after: int = Field(default=180, ge=10)
    """Seconds without a sign of life after which a running flow is marked as crashed."""
    deployments: tuple[DeploymentEntry, ...] = ()

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        names = [entry.name for entry in self.deployments]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"every deployment needs a name of its own, got {', '.join(twice)} more than once")
        return self


def read_registry(file: Path) -> Registry:
    """Read the file and check every request in it. Raises RecipeError for one that could not be done."""
    try:
        values = yaml.safe_load(file.read_text("utf-8")) or {}
    except OSError as error:
        raise RecipeError(f"The deployments need a file that can be read, got {file} ({error.strerror}).") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{file} is not valid YAML: {' '.join(str(error).split())}. Mend it there.") from None
    try:
        registry = Registry.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"{file}:\n{explain(error, Registry)}") from None
    placed = registry.model_copy(
        update={
            "workspace": _placed(registry.workspace, file),
            "deployments": tuple(_entry_of(entry, registry, file) for entry in registry.deployments),
        }
    )
    for entry in placed.deployments:
        _check(entry, file)
    return placed


def default_registry(workspace: str) -> Registry:
    """Return what is served where no file is given: a form for each act, and nothing that runs by itself."""
    acts: dict[str, Act] = {
        "pipeline": "run",
        "re-curation": "curate",
        "training": "pretrain",
        "ablation": "ablate",
        "evaluation": "evaluate",
        "tidying up": "gc",
    }
    entries = tuple(DeploymentEntry(name=name, does=act, workspace=absolute(workspace)) for name, act in acts.items())
    return Registry(workspace=absolute(workspace), deployments=entries)


def stage_names() -> dict[str, str]:
    """Return what the deployment of each single stage is called, in the order of work: stage name → title."""
    return {stage.name: f"stage {number:02} · {stage.name}" for number, stage in enumerate(STAGES, start=1)}


def _entry_of(entry: DeploymentEntry, registry: Registry, file: Path) -> DeploymentEntry:
    """Return an entry that means the same wherever the worker was started."""
    recipe = entry.recipe
    if recipe and recipe not in shipped():
        recipe = _placed(recipe, file)
    cron = entry.cron or (CATCH_UP if entry.after_publish else "")
    places: dict[str, Any] = {
        "recipe": recipe,
        "cron": cron,
        "workspace": _placed(entry.workspace or registry.workspace, file),
        "sources": tuple(_placed(url, file) for url in entry.sources),
    }
    return entry.model_copy(update=places)


def _placed(url: str, file: Path) -> str:
    """Return a path as seen from the file's folder; a URL as it is."""
    return absolute(url if "://" in url else str(file.absolute().parent / Path(url).expanduser()))


def _check(entry: DeploymentEntry, file: Path) -> None:
    try:
        recipe = load_recipe(entry.recipe or None, settings=entry.settings, sources=entry.sources, name=entry.dataset)
    except (RecipeError, SourceError) as error:
        raise RecipeError(f"{file}: {entry.name}: {error}") from None
    if entry.cron and entry.does in CURATES and not recipe.sources:
        raise RecipeError(
            f"{file}: {entry.name} runs by itself and needs images to start from, got no sources. Give it `sources`, "
            "or a recipe that has them."
        )
