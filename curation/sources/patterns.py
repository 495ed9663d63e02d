"""`include` and `exclude`: patterns over names, endings, keys of WebDataset, and folders. Case does not matter.

`jpg` or `.seg.png` is an ending, or a whole name, of a file or a folder on its way. With `*`, `?` or `[…]` it is
compared with each name on the way; with a slash, with the whole path below the source, where `*` takes slashes too.
"""

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache


def matches(patterns: Sequence[str], name: str) -> bool:
    """Tell whether one of the patterns means a file, by its path below the source."""
    return bool(patterns) and any(_compiled(pattern)(name.lower()) for pattern in patterns)


class _Pattern:
    def __init__(self, text: str) -> None:
        self.text = text.lower()
        self.is_path, self.is_glob = "/" in text.strip("/"), bool(set(text) & set("*?["))
        self.regex = re.compile(translate(self.text.strip("/")))

    def __call__(self, name: str) -> bool:
        if self.is_path:
            return bool(self.regex.match(name.strip("/")))
        parts = name.strip("/").split("/")
        if self.is_glob:
            return any(self.regex.match(part) for part in parts)
        bare = self.text.strip("/")
        return bare in parts or parts[-1].endswith("." + bare.lstrip("."))


_compiled = lru_cache(maxsize=256)(_Pattern)
