"""Facts as JSON with the SHA-256 of their keys as one more, `checksum`: damage is found when they are read."""

import hashlib
import json
from typing import Any

from shared.errors import DamagedFileError
from shared.storage.store import Store

Facts = dict[str, Any]


def json_text(facts: Facts) -> str:
    """Return facts as JSON with their checksum."""
    return json.dumps({**facts, "checksum": _checksum(facts)}, indent=1)


def read_facts(store: Store, name: str) -> Facts:
    """Return the facts in a file of a store. Raises DamagedFileError, and FileNotFoundError where there is none."""
    return json_facts(store.read(name), name)


def json_facts(raw: bytes, name: str) -> Facts:
    """Return the facts of such a text. Raises DamagedFileError where it is not as it was written."""
    try:
        facts = json.loads(raw)
    except ValueError as error:
        raise DamagedFileError(name, "is no JSON any more") from error
    if not isinstance(facts, dict) or facts.pop("checksum", None) not in (None, _checksum(facts)):
        raise DamagedFileError(name, "has other content than was written")
    return facts


def _checksum(facts: Facts) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
