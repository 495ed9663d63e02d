"""Labels of images in tars: from the member beside it, as WebDataset writes them, from its folder or its tar."""

import json
import re
from typing import Any, Literal

How = Literal["auto", "sidecar", "folder", "archive", "none"]

SIDECARS = (".cls", ".json")
MAX_SIDECAR = 1 << 20
SYNSET = re.compile(r"n\d{8}")
"""A tar that is called like a WordNet synset holds images of it: n01440764.tar of ImageNet."""


class Labels:
    """The labels of one tar: first shown its sidecars, then asked for its images."""

    def __init__(self, how: How, key: str, archive: str, nested: bool) -> None:
        self._how, self._keys, self._archive = how, (key,) if key else ("label", "cls"), archive
        self._by_archive = how == "archive" or (how == "auto" and (nested or bool(SYNSET.fullmatch(archive))))
        self._by_stem: dict[str, str] = {}

    def wants(self, name: str, size: int) -> bool:
        """Tell whether a member may say a label."""
        return self._how in ("auto", "sidecar") and size <= MAX_SIDECAR and name.endswith(SIDECARS)

    def take(self, name: str, data: bytes) -> None:
        """Note what a sidecar says: a .cls is the label, a .json has it under a key. A .cls wins."""
        stem, _, kind = name.rpartition(".")
        label = _said(data.decode("utf-8", "replace").strip()) if kind == "cls" else self._in_json(data)
        if label is not None and (kind == "cls" or stem not in self._by_stem):
            self._by_stem[stem] = label

    def of(self, name: str) -> str | None:
        """Return the label of an image: `a.b.jpg` belongs to `a.b.cls`, and to `a.cls` as in WebDataset."""
        folder, slash, base = name.rpartition("/")
        if self._by_stem:
            label = self._by_stem.get(name.rpartition(".")[0]) or self._by_stem.get(
                folder + slash + base.partition(".")[0]
            )
            if label is not None:
                return label
        if self._how in ("auto", "folder") and folder:
            return folder.rpartition("/")[2]
        return self._archive if self._by_archive else None

    def _in_json(self, data: bytes) -> str | None:
        try:
            facts: Any = json.loads(data)
        except ValueError:
            return None
        values = (facts.get(key) for key in self._keys) if isinstance(facts, dict) else ()
        return next((_said(value) for value in values if _said(value) is not None), None)


def _said(value: Any) -> str | None:
    """A label is a word or a number; anything else says nothing."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None
