"""Turns a failed validation into sentences: which key, what was given, what is allowed."""

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

from shared.params import models_in


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one line for each mistake."""
    return "\n".join(_sentence(mistake, model) for mistake in error.errors())


def _sentence(mistake: Any, model: type[BaseModel]) -> str:
    keys = [str(part) for part in mistake["loc"] if part not in _tags(mistake)]
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


def _tags(mistake: Any) -> set[str]:
    """The tag of a chosen union member stands in the location, but is no key that a person wrote."""
    return {part for part in mistake["loc"][1:] if isinstance(part, str) and part == mistake.get("ctx", {}).get("tag")}


def _model_at(model: type[BaseModel], path: tuple[Any, ...]) -> type[BaseModel]:
    """Follow a location into nested models, through lists and unions, as far as it goes."""
    models = [model]
    for step in path:
        inner = (
            [m for one in models for m in models_in(one.model_fields[step].annotation)]
            if (isinstance(step, str) and any(step in one.model_fields for one in models))
            else [m for m in models if _kind(m) == step] or models
        )
        models = inner or models
    return models[0]


def _kind(model: type[BaseModel]) -> Any:
    field = model.model_fields.get("kind")
    return field.default if field else None
