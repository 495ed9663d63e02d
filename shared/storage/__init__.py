"""Where a workspace lies. store.py reads and commits its files · lock.py lets one at a time do what two must not."""

from shared.storage.lock import locked
from shared.storage.store import UNFINISHED, Store, sha256

__all__ = ["UNFINISHED", "Store", "locked", "sha256"]
