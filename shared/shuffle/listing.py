"""A list of names on storage of which a task reads only its slice: what travels is a reference of some 100 bytes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from shared.storage import Store


@dataclass(frozen=True)
class Listing:
    """Names in a file, one a line, all lines of one width."""

    file: str
    width: int
    count: int

    def slice(self, store: Store, begin: int, end: int) -> list[str]:
        """Return the names from `begin` to before `end`, by one ranged read."""
        if begin >= end:
            return []
        data = store.read_range(self.file, begin * self.width, (end - begin) * self.width)
        return [line.rstrip() for line in data.decode().splitlines()]


def write_listing(store: Store, folder: str, names: Sequence[str]) -> Listing:
    """Commit the names, in their order, under the digest of their text."""
    width = max((len(name.encode()) for name in names), default=0) + 1
    text = "".join(f"{name}{' ' * (width - 1 - len(name.encode()))}\n" for name in names)
    file = f"{folder}/{hashlib.blake2b(text.encode(), digest_size=10).hexdigest()}.names"
    if not store.exists(file):
        store.write(file, text)
    return Listing(file, width, len(names))
