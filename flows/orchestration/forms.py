"""Prefect's forms: what their fields mean, and the one way from a filled form to a recipe."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from prefect.utilities.callables import ParameterSchema
from pydantic import BaseModel

from curation.params import CurationParams
from flows.recipe.patches import given, patch_of, words
from flows.recipe.recipe import Recipe, load_recipe
from shared.errors import RecipeError, SourceError
from shared.params import Compute
from training.eval.params import EvaluateParams
from training.params import PretrainParams

Body = TypeVar("Body", bound=Callable[..., object])
Texts = tuple[str, ...]
Changes = BaseModel | None
"""What a form changes of a part of the recipe; `form` puts the model of that part in its place."""
PARTS: Mapping[str, type[BaseModel]] = {
    "curation": CurationParams,
    "training": PretrainParams,
    "evaluation": EvaluateParams,
    "compute": Compute,
}
FIELDS = {
    "recipe": "A shipped recipe (demo, laptop, single-gpu) or the path of a YAML file.",
    "workspace": "Folder or URL that holds datasets, runs and the stage cache.",
    "sources": "Folders or URLs of images, without passwords: forms are stored. Empty = those of the recipe.",
    "name": "Name of the dataset. Empty = the recipe's.",
    "version": "Dataset version, as v0001. Empty = the newest.",
    "settings": "Changes to the recipe, each as KEY=VALUE, for example curation.dedup.near.threshold=0.98.",
    "curation": "What differs from the recipe's curation. What is left out stays the recipe's.",
    "training": "What differs from the recipe's training. What is left out stays the recipe's.",
    "evaluation": "What differs from the recipe's evaluation. What is left out stays the recipe's.",
    "params": "What differs from the recipe's parameters of this stage. What is left out stays the recipe's.",
    "compute": "Where the work runs and how wide, where it differs from the recipe; never changes a result.",
    "follow": "Go on until the run's training is done.",
    "patience": "Seconds that a followed run may stay without a sign of life.",
    "vary": "What to try instead of the recipe's value, each as KEY=VALUE,VALUE…, for example curation.balance=on.",
    "grid": "Every combination of the values, instead of one change to the recipe at a time.",
    "seeds": "Trainings of each variant. One claims nothing; 5 see smaller effects.",
    "delete": "Delete it. Otherwise the run only tells what it would delete.",
    "hours": "What was written in the last so many hours stays.",
    "steps": "Length of each training; the recipe's where none is given.",
}


def form(body: Body, params: type[BaseModel] | None = None) -> Body:
    """Say in a flow's docstring, which Prefect makes its form of, what each parameter means; and let it take changes.

    `params` is the model of the parameter of that name.
    """
    parts = {**PARTS, **({"params": params} if params else {})}
    lines = [f"    {name}: {FIELDS[name]}" for name in inspect.signature(body).parameters]
    body.__doc__ = "\n".join([inspect.getdoc(body) or "", "", "Args:", *lines])
    for name in inspect.signature(body).parameters:
        if name in parts:
            body.__annotations__[name] = patch_of(parts[name]) | None
    return body


def worded(schema: ParameterSchema) -> ParameterSchema:
    """Return a form's schema whose labels are words, and whose choices are called as in a recipe.

    Pydantic calls a member of a union by the name of its class.
    """
    named = {key: _kind(one) or one.get("title", key) for key, one in schema.definitions.items()}
    definitions = {key: one | {"title": words(named[key])} for key, one in schema.definitions.items()}
    fields = {key: one | {"title": words(key)} for key, one in schema.properties.items()}
    return schema.model_copy(update={"definitions": definitions, "properties": fields})


def _kind(definition: Mapping[str, Any]) -> str | None:
    """Return what a recipe calls a member of a union."""
    kind: str | None = definition.get("properties", {}).get("kind", {}).get("const")
    return kind


def requested(
    recipe: str, settings: Sequence[str], sources: Sequence[str], name: str, changes: Mapping[str, Changes]
) -> Recipe:
    """Return the recipe that a form asks for. Raises RecipeError, before any work, in the words of a form."""
    differing = {key: given(patch) for key, patch in changes.items() if patch is not None}
    try:
        return load_recipe(recipe, settings=settings, sources=sources, name=name, changes=differing)
    except RecipeError as error:
        raise RecipeError(str(error).replace("--set ", "settings: ")) from None


def with_sources(recipe: Recipe) -> Recipe:
    """Return the recipe. Raises SourceError where it names no images to start from."""
    if not recipe.sources:
        raise SourceError(
            "Curation needs images to start from, got no sources. Fill in `sources`, or choose a recipe that has them."
        )
    return recipe
