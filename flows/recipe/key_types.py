"""What a key of a recipe may hold, read off the models: so a text is a number to one key and a name to another."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.params import models_in

Models = Sequence[type[BaseModel]]

NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?([eE][+-]?\d+)?")


def value_of(text: str, owners: Models, name: str) -> Any:
    """Return the first reading of a text that its key accepts: a number, YAML, the text itself."""
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError:
        plain = text
    readings = [*_number(text), plain, text.strip()]
    fields = [one.model_fields[name] for one in owners if name in one.model_fields]
    for reading in readings:
        for field in fields:
            if _accepts(field, reading):
                return reading
    return plain  # the recipe's own check says what is wrong with it


def _accepts(field: Any, value: Any) -> bool:
    annotation: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
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


def models_at(models: Models, name: str) -> Models:
    """Return the models that a key of these models may hold, by itself or in a list."""
    fields = [one.model_fields[name] for one in models if name in one.model_fields]
    return [inner for field in fields for inner in models_in(field.annotation)]


def models_of_kind(models: Models, kind: Any) -> Models:
    """Return those of a union that are of this kind; all of them where none is."""
    return [one for one in models if "kind" in one.model_fields and kind_of(one) == kind] or models


def kind_of(model: type[BaseModel]) -> Any:
    """Return what tells a member of a union from the others; None of a model that is in none."""
    field = model.model_fields.get("kind")
    return field.default if field else None


def listed_default(models: Models, name: str) -> list[Any] | None:
    """Return the default of a key that holds a list of models, so that one of them can be changed."""
    for one in models:
        if name in one.model_fields:
            default = one.model_fields[name].get_default(call_default_factory=True)
            if isinstance(default, tuple | list):
                return [each.model_dump(mode="json") if isinstance(each, BaseModel) else each for each in default]
    return None
