"""The parameters of a stage as help: name, default and meaning, read off its model."""

from inspect import cleandoc
from typing import Any

from pydantic import BaseModel

from shared.params import Params, models_in


def parameters(model: type[BaseModel], prefix: str) -> str:
    """Return a line for each parameter, with the key that --set takes."""
    lines = [f"Parameters, as --set {prefix}.KEY=VALUE:", ""]
    for key, text in _fields(model, ""):
        lines += [f"  {key}", f"      {text}"]
    return "\n".join(lines)


def _fields(model: type[BaseModel], prefix: str) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        help_text = (field.description or "").strip()
        if help_text.startswith("Taken from"):
            fields.append((f"{prefix}{name}", help_text))
        elif choices := _choices(field.annotation):
            fields.append((f"{prefix}{name} = {_short(default)}", help_text))
            fields += [(f"  kind: {kind}", sentence) for kind, sentence in choices]
        elif isinstance(default, Params):
            fields += _fields(type(default), f"{prefix}{name}.")
        else:
            fields.append((f"{prefix}{name} = {_short(default)}", help_text))
    return fields


def _choices(annotation: Any) -> list[tuple[str, str]]:
    """Return the kinds of a written union, each with the first sentence of its docstring."""
    members = models_in(annotation)
    if len(members) < 2:
        return []
    return [
        (member.model_fields["kind"].default, cleandoc(member.__doc__ or "").split("\n\n")[0]) for member in members
    ]


def _short(value: Any) -> str:
    if isinstance(value, tuple | list) and any(isinstance(item, Params) for item in value):
        return f"[{', '.join(str(getattr(item, 'kind', item)) for item in value)}]"
    if isinstance(value, Params):
        return str(getattr(value, "kind", value))
    return str(list(value) if isinstance(value, tuple) else value)
