"""Lists of names in files: what travels to a worker is the name of a list, which many tasks may share."""

from collections.abc import Sequence
from functools import lru_cache

from shared.params import fingerprint
from shared.storage import Store
from shared.storage.checked_json import json_text, read_facts

KEPT = 16
"""Lists that a process keeps after it read them."""


def list_names(store: Store, folder: str, names: Sequence[str]) -> str:
    """Write a list to a folder; return the name of its file, which tells its content."""
    text = json_text({"names": list(names)})
    name = f"{folder}/names-{fingerprint(text)}.json"
    store.write(name, text)
    return name


@lru_cache(KEPT)
def listed(url: str, name: str) -> tuple[str, ...]:
    """Return a list that was written, read once in a process; nothing where no list is named."""
    return tuple(read_facts(Store(url), name)["names"]) if name else ()
