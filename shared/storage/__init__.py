"""Where a workspace lies. store.py reads and commits its files, with the help of files.py
lock.py lets one at a time do what two must not.
"""

from shared.storage.files import sha256
from shared.storage.lock import locked
from shared.storage.store import UNFINISHED, Store

__all__ = ["UNFINISHED", "Store", "locked", "sha256"]
