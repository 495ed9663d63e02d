"""`--set KEY=VALUE`: one change of a recipe. Lists are walked by name, and values are read as their key means them."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from pydantic import BaseModel

from flows.recipe.key_types import Models, listed_default, models_at, models_of_kind, value_of
from shared.errors import RecipeError
from shared.params import with_present_names

Tree = dict[str, Any]
NAMES = ("name", "kind", "url")
"""What a member of a list goes by, the first that tells it from its neighbours."""
SWITCH = {"on": True, "off": False}
SWITCHED = {
    "curation.quality": {"on": "curation.quality.rules", "off": "curation.quality.rules=[]"},
    "curation.dedup": {word: f"curation.dedup.perceptual={word} curation.dedup.near={word}" for word in ("on", "off")},
}
"""Groups without a switch of their own: what on and off mean for them. A key without a value gets its default."""


def apply_setting(values: Tree, setting: str, model: type[BaseModel]) -> None:
    """Change the values of a recipe of this model in place. Raises RecipeError for what cannot be understood."""
    path, equals, text = setting.partition("=")
    key = _present_key(re.sub(r"\[([^\]]+)\]", r".\1", path.strip()), model)
    if not equals or not key:
        raise RecipeError(
            f"--set needs KEY=VALUE with a dotted key, got {setting!r}. Example: --set training.optim.steps=500"
        )
    for switch in SWITCHED.get(key, {}).get(text.strip().lower(), "").split():
        inner, _, value = switch.partition("=")
        if value:
            apply_setting(values, switch, model)
        else:
            _remove(values, inner.split("."))
    if text.strip().lower() in SWITCHED.get(key, {}):
        return
    *groups, last = key.split(".")
    place: Any = values
    models: Models = [model]
    for depth, step in enumerate(groups):
        place, models = _entered(place, models, step, ".".join(groups[: depth + 1]))
    _put(place, models, last, text, key)


def _present_key(key: str, model: type[BaseModel]) -> str:
    """Return a dotted key with the names that its parts have today."""
    tree: Any = None
    for name in reversed(key.split(".")):
        tree = {name: tree}
    tree, names = with_present_names(tree, model), list[str]()
    while isinstance(tree, dict):
        [(name, tree)] = tree.items()
        names.append(name)
    return ".".join(names)


def _remove(values: Tree, keys: Sequence[str]) -> None:
    """Take a key out, so that its default holds."""
    for key in keys[:-1]:
        values = values.get(key) or {}
    values.pop(keys[-1], None)


def _entered(place: Any, models: Models, step: str, key: str) -> tuple[Any, Models]:
    """Go one step down: into a group of keys, made where it is not there, or into a member of a list by its name."""
    if isinstance(place, list):
        index = _index(place, step, key)
        if index is None:
            place.append({"kind": step})
            index = len(place) - 1
        if isinstance(place[index], str):  # a member that was asked for by its kind alone
            place[index] = {"kind": place[index]}
        return place[index], models_of_kind(models, place[index].get("kind"))
    inner = models_at(models, step)
    if step not in place or place[step] is None:
        place[step] = listed_default(models, step) or {}
    elif isinstance(place[step], str) and inner:
        place[step] = {"kind": place[step]}
    if not isinstance(place[step], dict | list):
        raise RecipeError(f"--set {key}: {step!r} is not a group of keys, it is {place[step]!r}.")
    return place[step], inner


def _put(place: Any, models: Models, last: str, text: str, key: str) -> None:
    """Set the last key of a path: a value, a switch, or a whole member of a list."""
    word = text.strip().lower()
    if isinstance(place, list):
        _put_member(place, last, text, key)
        return
    if word in SWITCH and any("enabled" in one.model_fields for one in models_at(models, last)):
        group = place.get(last)
        place[last] = (group if isinstance(group, dict) else {}) | {"enabled": SWITCH[word]}
    else:
        place[last] = value_of(text, models, last)


def _put_member(members: list[Any], name: str, text: str, key: str) -> None:
    """Take a member of a list in or out, or replace it whole."""
    index, word = _index(members, name, key), text.strip().lower()
    kept = members[:index] if index is not None else members[:]
    rest = members[index + 1 :] if index is not None else []
    if word in SWITCH:
        same = [members[index]] if index is not None else [{"kind": name}]
        members[:] = [*kept, *(same if SWITCH[word] else []), *rest]
        return
    value = yaml.safe_load(text)
    if not isinstance(value, dict):
        raise RecipeError(f"--set {key} needs on, off, or a key below it such as {key}.threshold, got {text!r}.")
    members[:] = [*kept, {"kind": name, **value}, *rest]


def _index(members: list[Any], step: str, key: str) -> int | None:
    """Return the place of a member by its name or number; None where there is none. Raises RecipeError for several."""
    if step.isdigit() and int(step) < len(members):
        return int(step)
    places = [i for i, one in enumerate(members) if step in _names(one)]
    if len(places) > 1:
        numbers = ", ".join(map(str, places))
        raise RecipeError(f"--set {key}: {step!r} stands there {len(places)} times. Use its number instead: {numbers}.")
    return places[0] if places else None


def _names(member: Any) -> Iterator[str]:
    if isinstance(member, dict):
        yield from (str(member[name]) for name in NAMES if member.get(name))
    else:
        yield str(member)
