"""Which keys of two recipes, or of two sets of parameters, have other values."""

from collections.abc import Iterator
from typing import Any

ABSENT = "(absent)"


def recipe_changes(old: Any, new: Any) -> dict[str, list[Any]]:
    """Return the keys whose values differ, each with both values; keys are spelled as --set takes them."""
    first, second = dict(_flat(old)), dict(_flat(new))
    keys = dict.fromkeys([*first, *second])
    pairs = {key: [first.get(key, ABSENT), second.get(key, ABSENT)] for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _flat(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys with their values; what stands in a list goes by its kind, name or url, else by its place."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list) and tree and all(isinstance(one, dict) for one in tree):
        names = [
            next((str(one[key]) for key in ("name", "url", "kind") if one.get(key)), str(i))
            for i, one in enumerate(tree)
        ]
        for place, (name, one) in enumerate(zip(names, tree, strict=True)):
            own = {key: value for key, value in one.items() if value != name} or one
            yield from _flat(own, f"{path}.{name if names.count(name) == 1 else place}")
    else:
        yield path, tree
