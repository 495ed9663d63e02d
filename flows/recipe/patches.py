"""Models of what differs from a recipe: every key may be left out, and what is left out stays the recipe's."""

import types
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

ELSEWHERE = {
    "IndexParams": {"sources", "changed"},
    "MeasureParams": {"embedder", "scorers", "layout"},
    "DecontaminateParams": {"dedup"},
}
"""Fields that are filled from other places of the recipe: nobody sets them here."""


def _left_out() -> None:
    """Return the value of what is not given; nobody reads it."""


@cache
def patch_of(model: type[BaseModel]) -> type[BaseModel]:
    """Return a model with the same keys, none of which needs to be there."""
    hidden = ELSEWHERE.get(model.__name__, set())
    fields: Any = {name: _optional(name, field) for name, field in model.model_fields.items() if name not in hidden}
    title = model.model_config.get("title") or words(model.__name__.removesuffix("Params"))
    config = ConfigDict(extra="forbid", frozen=True, title=title)
    return create_model(f"{model.__name__}Changes", __config__=config, __doc__=model.__doc__, **fields)


def given(patch: BaseModel) -> dict[str, Any]:
    """Return what a patch holds, as the values of a recipe."""
    return patch.model_dump(mode="json", exclude_unset=True)


def laid_over(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the base with the changes laid over it, key by key; lists, and what is of another kind, are replaced."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("kind", old.get("kind")) == old.get("kind"):
            merged[key] = laid_over(old, value)
        else:
            merged[key] = value
    return merged


def words(name: str) -> str:
    """Return the name of a field or class as words: knn_every → Knn every, TimmEmbedder → Timm embedder."""
    spaced = "".join(f" {c.lower()}" if c.isupper() else c for c in name.replace("_", " "))
    return " ".join(spaced.split()).capitalize()


def _optional(name: str, field: FieldInfo) -> tuple[Any, Any]:
    annotation: Any = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        annotation = patch_of(annotation) | None
        return annotation, Field(default=None, title=words(name), description=field.description)
    metadata: Sequence[Any] = field.metadata
    if field.discriminator and get_origin(annotation) in (Union, types.UnionType):
        metadata = [*metadata, Field(discriminator=field.discriminator)]
    whole = Annotated[annotation, *metadata] if metadata else annotation
    return whole, Field(default_factory=_left_out, title=words(name), description=_with_default(field, annotation))


def _with_default(field: FieldInfo, annotation: Any) -> str:
    """Return the help of a field, with what holds where neither the recipe nor the form says otherwise."""
    default = field.get_default(call_default_factory=True)
    plain = default is None or isinstance(default, str | int | float | bool)
    optional = type(None) in get_args(annotation)
    shown = f"Default: {default}." if plain and (default is not None or optional) else ""
    return " ".join(part for part in (field.description, shown) if part)
