"""Files whose content changed under the same size and time: remembered, so that they are measured again."""

from collections.abc import Mapping

from shared.storage import Store
from shared.storage.checked_json import json_text, read_facts
from shared.tables import FOLDER

NAME = f"{FOLDER}/changed.json"


def changed_files(store: Store) -> dict[str, str]:
    """Return the digest, in hex, that each such file was found to have, by uri."""
    if not store.exists(NAME):
        return {}
    return read_facts(store, NAME)


def remember_changed(store: Store, files: Mapping[str, str]) -> None:
    """Add files by the digest of what they hold now; of those without one, size or time tell enough."""
    digests = {uri: digest for uri, digest in files.items() if digest}
    if digests:
        store.write(NAME, json_text(changed_files(store) | digests))
