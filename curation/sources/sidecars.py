"""What files beside an image say of it, in a folder or in an archive: WebDataset's .cls and .json, captions, anything.

A sidecar has the image's name but for the ending, in any case: `a.b.jpg` is spoken of by `a.b.cls`, and by `a.cls`
and `a.words.txt` as in WebDataset. Where a tar holds a name twice, its second sidecar speaks of its second image.
"""

import json
from collections import Counter
from typing import Any

from curation.sources.label_rule import LabelRule, label_of
from shared.images.image_files import IMAGES, ending

MAX_SIDECAR = 1 << 20
KEYS = ("label", "cls")
"""Keys of a .json that hold a label, where the recipe names none."""
EVERYTHING = "*"

Key = tuple[str, int]
"""A name without its ending, and how often it came before."""


class Sidecars:
    """First shown what lies beside the images, then asked about them."""

    def __init__(self, rule: LabelRule, keep: tuple[str, ...]) -> None:
        self._says_labels = rule.how in ("auto", "sidecar")
        self._keys = (rule.detail,) if rule.how == "sidecar" and rule.detail else KEYS
        self._keep = keep
        self._times: Counter[str] = Counter()
        self._labels: dict[Key, str] = {}
        self._kept: dict[Key, dict[str, Any]] = {}

    def wants(self, name: str, size: int | None) -> bool:
        """Tell whether a file may say something that is asked for."""
        kind = ending(name)
        says_label = self._says_labels and kind in (".cls", ".json")
        return (size or 0) <= MAX_SIDECAR and (says_label or self._keeps(name))

    def take(self, name: str, data: bytes) -> None:
        """Note what a sidecar says: a .cls is the label, a .json has it under a key. A .cls wins."""
        time = self._times[name]
        self._times[name] += 1
        kind = ending(name)
        stem = name[: -len(kind)] if kind else name
        value = _value(kind, data)
        if self._says_labels and kind in (".cls", ".json"):
            label = label_of(value.strip() if isinstance(value, str) else None) if kind == ".cls" else self._in(value)
            if label is not None and (kind == ".cls" or (stem, time) not in self._labels):
                self._labels[stem, time] = label
        if self._keeps(name) and value is not None:
            key, _, rest = _split(name)
            for where, word in {(stem, kind[1:]), (key, rest)}:
                self._kept.setdefault((where, time), {})[word] = value

    def label(self, name: str, time: int = 0) -> str | None:
        """Return the label of an image that has come so often before."""
        places = self._places(name, time) if self._labels else []
        return next((self._labels[key] for key in places if key in self._labels), None)

    def kept(self, name: str, time: int = 0) -> dict[str, Any]:
        """Return what is to be kept of what lies beside an image."""
        places = self._places(name, time) if self._kept else []
        return next((self._kept[key] for key in places if key in self._kept), {})

    def _places(self, name: str, time: int) -> list[Key]:
        kind = ending(name)
        stems = (name[: -len(kind)] if kind else name, _split(name)[0])
        return [(stem, t) for t in dict.fromkeys((time, 0)) for stem in stems]

    def _keeps(self, name: str) -> bool:
        if not self._keep or ending(name) in IMAGES:
            return False
        return bool({EVERYTHING, ending(name)[1:], _split(name)[2]} & set(self._keep))

    def _in(self, value: Any) -> str | None:
        values = (value.get(key) for key in self._keys) if isinstance(value, dict) else ()
        labels = (label_of(one) for one in values if not isinstance(one, bool))
        return next((label for label in labels if label is not None), None)


def _split(name: str) -> tuple[str, str, str]:
    """Return WebDataset's key of a name, the dot, and the ending: `dir/a.b.jpg` is `dir/a`, `b.jpg`."""
    folder, slash, base = name.rpartition("/")
    key, dot, rest = base.partition(".")
    return folder + slash + key, dot, rest.lower()


def _value(kind: str, data: bytes) -> Any:
    """Return the text or the JSON of a sidecar; None for what is neither."""
    try:
        text = data.decode("utf-8-sig")
        return json.loads(text) if kind == ".json" else text
    except ValueError:
        return data.decode("utf-8", "replace") if kind == ".cls" else None
