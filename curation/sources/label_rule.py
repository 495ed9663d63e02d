"""Where labels come from, as a recipe says it: a word, and perhaps more behind a colon."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

FORMS = {
    "auto": "auto",
    "none": "none",
    "folder": "folder, folder:2 (two levels), folder:path (all of them) or folder:top (the first below the source)",
    "archive": "archive",
    "sidecar": "sidecar, or sidecar:KEY of its JSON",
    "metadata": "metadata, or metadata:COLUMN of metadata.jsonl or .csv",
    "column": "column:NAME",
    "list": "list",
    "regex": "regex:PATTERN with a group, over the path below the source",
}
"""How a label is found → how to write it."""


class LabelRule(NamedTuple):
    """A parsed `label`."""

    how: str
    detail: str = ""

    @classmethod
    def parse(cls, text: str, allowed: Sequence[str]) -> "LabelRule":
        """Read the text. Raises ValueError that lists what is allowed."""
        how, _, detail = text.partition(":")
        rule = cls(how, detail)
        if how not in allowed or not rule._is_sound:
            raise ValueError(f"label must be one of {'; '.join(FORMS[word] for word in allowed)}; got {text!r}")
        return rule

    @property
    def _is_sound(self) -> bool:
        if self.how == "regex":
            try:
                return re.compile(self.detail).groups > 0
            except re.error:
                return False
        if self.how == "folder":
            return self.detail in ("", "path", "top") or (self.detail.isdigit() and int(self.detail) > 0)
        if self.how == "column":
            return bool(self.detail)
        return not self.detail or self.how in ("sidecar", "metadata")

    def by_path(self, name: str) -> str | None:
        """Return the label that a path below the source has by a `folder` or `regex` rule."""
        if self.how == "regex":
            found = re.search(self.detail, name)
            return (found["label"] if "label" in found.re.groupindex else found[1]) or None if found else None
        folders = name.split("/")[:-1]
        if self.detail == "path":
            return "/".join(folders) or None
        if self.detail == "top":
            return folders[0] if folders else None
        return "/".join(folders[-int(self.detail or 1) :]) or None


def is_label(value: object) -> bool:
    """Tell whether a value names a class: a word or a number that is not negative; no list, no struct, no bytes."""
    if isinstance(value, bool | int | float):
        return value >= 0
    return isinstance(value, str) and bool(value)


def label_of(value: object) -> str | None:
    """Return a value as a label; None where it names no class."""
    return str(value) if is_label(value) else None


def former_labels(given: Any, fields: Mapping[str, Callable[[Any], str]]) -> Any:
    """Return the values of a source with `label` in the place of the fields that used to say it.

    Raises ValueError where both are there.
    """
    if not isinstance(given, Mapping):
        return given
    old = [field for field in fields if field in given]
    if old and "label" in given:
        raise ValueError(f"{old[0]} is a former name of label, got both; leave out {old[0]}")
    kept = {key: value for key, value in given.items() if key not in fields}
    said = [fields[field](given[field]) for field in old if given[field] != ""]
    return kept | {"label": said[-1]} if said else kept
