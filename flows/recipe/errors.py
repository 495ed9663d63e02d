"""Turns a failed validation into sentences: which key, what was given, what is allowed."""

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

from flows.recipe.key_types import Models, kind_of, models_at, models_of_kind


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one line for each mistake."""
    return "\n".join(_sentence(mistake, model) for mistake in error.errors())


def _sentence(mistake: Any, model: type[BaseModel]) -> str:
    keys = _keys(mistake, model)
    key = ".".join(keys) or "recipe"
    given = mistake.get("input")
    if mistake["type"] == "extra_forbidden":
        group = _model_at(model, mistake["loc"][:-1])
        allowed, present = sorted(group.model_fields), _by_any_name(group)
        near = difflib.get_close_matches(keys[-1], present, 1)
        hint = f" Did you mean {present[near[0]]!r}?" if near else ""
        return f"{key}: there is no such key.{hint} Allowed here: {', '.join(allowed)}."
    text = str(mistake["msg"]).removeprefix("Value error, ")
    shown = f" (given {given!r})" if isinstance(given, str | int | float | bool | None) else ""
    return f"{key}: {text}{shown}."


def _by_any_name(model: type[BaseModel]) -> dict[str, str]:
    """Return each name that a field has or had → the name that it has."""
    former = getattr(model, "former_names", {})
    return {name: name for name in model.model_fields} | {old: name for name, old in former.items()}


def _keys(mistake: Any, model: type[BaseModel]) -> list[str]:
    """Return a location as the key that --set takes: a member of a list goes by its kind, not its number."""
    location, keys = mistake["loc"], list[str]()
    for place, part in enumerate(location):
        if part == mistake.get("ctx", {}).get("tag") and place:
            continue  # the tag of a chosen union member stands in the location, but is no key that a person wrote
        if keys and isinstance(location[place - 1], int) and kind_of(_model_at(model, location[: place + 1])) == part:
            keys.pop()
        keys.append(str(part))
    return keys


def _model_at(model: type[BaseModel], path: tuple[Any, ...]) -> type[BaseModel]:
    """Follow a location into nested models, through lists and unions, as far as it goes."""
    models: Models = [model]
    for step in path:
        is_key = isinstance(step, str) and any(step in one.model_fields for one in models)
        models = (models_at(models, step) if is_key else models_of_kind(models, step)) or models
    return models[0]
