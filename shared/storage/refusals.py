"""What a disk or an object store refuses, in a sentence that names the place, and for a full disk the bytes."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import WorkFailedError
from shared.errors.secrets import redacted

FULL = (errno.ENOSPC, errno.EDQUOT)
CLIENTS = ("aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google")
"""Packages of object stores whose errors have no ancestor in common."""
ANSWERS = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
"""These tell something about a file: the store works."""


@contextmanager
def roomy(draft: Path, target: str, needed: int | None) -> Iterator[None]:
    """Raise WorkFailedError where the disk is full: which file, how many bytes it needs, and how many are free."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        written = draft.stat().st_size if draft.exists() else 0
        size = f"{needed:,} bytes" if needed is not None else f"more than the {written:,} bytes written so far"
        free = shutil.disk_usage(os.path.dirname(target)).free + written
        raise WorkFailedError(
            f"{target} needs {size}, but its disk is full ({free:,} bytes were free; {error.strerror}). Free some, "
            "then run the same command again: what is finished is kept."
        ) from error


@contextmanager
def answering(url: str, local: bool) -> Iterator[None]:
    """Raise WorkFailedError that names the store where one does not do what it is asked."""
    try:
        yield
    except ANSWERS:
        raise
    except Exception as error:
        if local or not refused(error):
            raise
        raise WorkFailedError(
            f"The workspace {url} needs a store that answers, got {type(error).__name__}: {redacted(str(error))}. "
            "Check the URL, your credentials and the network, then run the same command again."
        ) from error


def refused(error: Exception) -> bool:
    """Tell what a disk or an object store refuses from a bug."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in CLIENTS
