"""Files that travel between this machine and an object store, whole or not at all."""

import hashlib
import os
import tempfile
import time
from pathlib import Path

from shared.errors import WorkFailedError
from shared.storage.refusals import answering
from shared.storage.store import UNFINISHED, Store

PAUSES = (2.0, 10.0, 60.0)
"""Seconds before a store that refused is asked again: an outage of a minute ends no training."""


def send(store: Store, file: Path, name: str, checksum: str = "") -> None:
    """Put a local file into a store. With its SHA-256, read it back and hold it against that.

    Raises WorkFailedError where the store goes on refusing, or keeps other bytes than it was sent.
    """
    for pause in (*PAUSES, None):
        try:
            _send_once(store, file, name, checksum)
            return
        except WorkFailedError:
            if pause is None:
                raise
            time.sleep(pause)


def _send_once(store: Store, file: Path, name: str, checksum: str) -> None:
    with answering(store.url, store.local):
        store.fs.put_file(str(file), store.path(name))
        if not checksum:
            return
        store.fs.invalidate_cache()
        with store.open(name) as stored:
            kept = hashlib.file_digest(stored, "sha256").hexdigest()  # type: ignore[arg-type]
    if kept != checksum:
        raise WorkFailedError(
            f"{store.url}/{name} needs the bytes that were sent, got others back. Run the same command again."
        )


class ChangedFiles:
    """Sends files of a folder to a store, each when it is not as it was when it was sent."""

    def __init__(self, folder: Path, store: Store) -> None:
        """Take the folder, and the store where it belongs."""
        self.folder, self.store = folder, store
        self.sent: dict[Path, tuple[int, int]] = {}

    def keep(self, file: Path) -> None:
        """Take a file for sent as it is."""
        self.sent[file] = _state(file)

    def send(self, file: Path) -> None:
        """Send a file that has changed; drafts and folders are none. Raises WorkFailedError as `send` does."""
        if not file.is_file() or file.name.startswith(UNFINISHED) or self.sent.get(file) == _state(file):
            return
        state = _state(file)
        send(self.store, file, file.relative_to(self.folder).as_posix())
        self.sent[file] = state


def _state(file: Path) -> tuple[int, int]:
    return file.stat().st_mtime_ns, file.stat().st_size


def bring(store: Store, name: str, file: Path) -> None:
    """Copy a file of a store to this machine. Raises FileNotFoundError where it is not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=UNFINISHED, dir=file.parent)
    os.close(descriptor)
    try:
        with answering(store.url, store.local):
            store.fs.get_file(store.path(name), draft)
        os.replace(draft, file)
    finally:
        Path(draft).unlink(missing_ok=True)
