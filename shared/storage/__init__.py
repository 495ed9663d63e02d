"""Where a workspace lies. store.py reads and commits its files, with the help of files.py

checked.py, checked_json.py are files that carry their checksums, sorted_file.py those of rows that are sorted by a key
paged_file.py: files with a checksum for each page, for readers that map them
lock.py lets one at a time do what two must not · transfer.py: files that travel between this machine and a store
credentials.py opens URLs whose secrets stand nowhere · refusals.py says what a disk or a store refuses.
"""

from shared.storage.files import sha256
from shared.storage.lock import locked
from shared.storage.store import SCRATCH, UNFINISHED, Store

__all__ = ["SCRATCH", "UNFINISHED", "Store", "locked", "sha256"]
