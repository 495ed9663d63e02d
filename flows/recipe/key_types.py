"""What a key of a recipe may hold, read off the models: so a text is a number to one key and a name to another."""

import re
import typing
from collections.abc import Iterator
from types import UnionType
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?([eE][+-]?\d+)?")


def value_of(text: str, owners: list[Any], name: str) -> Any:
    """Return the first reading of a text that its key accepts: a number, YAML, the text itself."""
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError:
        plain = text
    readings = [*_number(text), plain, text.strip()]
    fields = [one.model_fields[name] for one in owners if is_model(one) and name in one.model_fields]
    for reading in readings:
        for field in fields:
            if _accepts(field, reading):
                return reading
    return plain  # the recipe's own check says what is wrong with it


def _accepts(field: Any, value: Any) -> bool:
    annotation: Any = typing.Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        return False
    return True


def _number(text: str) -> Iterator[int | float]:
    """Yield the number that a text is, as people write it: 1e4, 10,000, 2.5e-3."""
    match = NUMBER.fullmatch(text.strip())
    if match:
        value = float(text.replace(",", ""))
        yield int(value) if value.is_integer() and "." not in text else value


def types_at(types: list[Any], name: str) -> list[Any]:
    """Return what a key of these models may hold."""
    return [
        inner
        for one in types
        if is_model(one) and name in one.model_fields
        for inner in _parts(one.model_fields[name].annotation)
    ]


def members_of(types: list[Any], member: dict[str, Any]) -> list[Any]:
    """Return the models that a member of a list may be: those of its kind."""
    models = [one for one in types if is_model(one)]
    kind = member.get("kind")
    return [one for one in models if "kind" in one.model_fields and one.model_fields["kind"].default == kind] or models


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the types inside unions, lists and annotations."""
    origin = typing.get_origin(annotation)
    if origin is None:
        yield annotation
    elif origin is typing.Annotated:
        yield from _parts(typing.get_args(annotation)[0])
    elif origin is typing.Union or origin is UnionType or origin in (tuple, list):
        for inner in typing.get_args(annotation):
            yield from _parts(inner)
    else:
        yield annotation


def listed_default(types: list[Any], name: str) -> list[Any] | None:
    """Return the default of a key that holds a list of models, so that one of them can be changed."""
    for one in types:
        if is_model(one) and name in one.model_fields:
            default = one.model_fields[name].get_default(call_default_factory=True)
            if isinstance(default, tuple | list):
                return [each.model_dump(mode="json") if isinstance(each, BaseModel) else each for each in default]
    return None


def is_model(annotation: Any) -> bool:
    """Tell a group of keys from a value."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
