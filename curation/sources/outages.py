"""Failed reads: which are facts about an image, which are an outage, and which tell that a file has changed.

A fact becomes a row. An outage is tried again after a while, and fails the work if it stays, so that it is never
remembered as a fact. A file that is not as it was listed is listed and measured again.
"""

import errno
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa

from curation.sources.opened import PAUSES, Opened
from shared.errors import UnreadableError, WorkFailedError

CODES = frozenset(
    code
    for name in (
        *(
            "EIO",
            "ESTALE",
            "ETIMEDOUT",
            "EBUSY",
            "EAGAIN",
            "EINTR",
            "ENODEV",
            "ENXIO",
            "ENOLINK",
            "EREMOTEIO",
            "EPROTO",
        ),
        *("ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "ENOTCONN", "EPIPE", "ESHUTDOWN", "ECOMM"),
        *("ENETDOWN", "ENETRESET", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "EMFILE", "ENFILE", "ENOMEM"),
    )
    if (code := getattr(errno, name, None)) is not None
)
"""What disks, network folders and clients of stores say of themselves, not of a file."""
LINK_CODES = frozenset((errno.EIO, errno.EBUSY))

ReadResult = bytes | UnreadableError
"""The bytes of an image, or why there are none."""


class ChangedFileError(UnreadableError):
    """An image whose file is not as it was listed any more."""


class FilesChangedError(WorkFailedError):
    """Files changed while they were worked on: what was measured of them does not hold any more."""

    def __init__(self, files: dict[str, str]) -> None:
        """Take what is known of the content of each now, by uri: a digest in hex, or "" where size or time tell it."""
        self.files = files
        names = ", ".join(list(files)[:3]) + (f" and {len(files) - 3:,} more" if len(files) > 3 else "")
        super().__init__(
            f"Curation needs files as they were measured, but {names} changed meanwhile. Run the same command again."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes with the files."""
        return FilesChangedError, (self.files,)


def unchanged(images: pa.Table, files: Iterable[ReadResult]) -> Iterator[ReadResult]:
    """Pass on the files of a table of images. At its end, raises FilesChangedError for those that are not as listed."""
    changed: dict[str, str] = {}
    for uri, data in zip(images["uri"].to_pylist(), files, strict=True):
        if isinstance(data, ChangedFileError):
            changed[uri] = ""
        yield data
    if changed:
        raise FilesChangedError(changed)


def is_whole_file(row: dict[str, Any]) -> bool:
    """Tell whether a row of IMAGES is a file of its own that the listing saw: inside of others the offset is not 0."""
    return row["reader"] == "range" and row["offset"] == 0 and row["length"] is not None


def tried(row: dict[str, Any], read: Callable[[], bytes], opened: Opened, key: Any = None) -> ReadResult:
    """Return what `read` gives for a row of IMAGES, or the reason why it gives nothing.

    What is open under the key is closed before another try. Raises WorkFailedError for an outage that stays, unless
    what is read is only to be shown.
    """
    for pause in (*opened.pauses, None):
        try:
            return read()
        except UnreadableError as error:
            return error
        except (OSError, pa.ArrowException, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"[:300]
            gone = isinstance(error, FileNotFoundError) and _was_listed(row)
            if not gone and not is_outage(error, row["path"]):
                return UnreadableError(reason)
            if pause is None and (gone or not opened.pauses):
                return ChangedFileError(reason) if gone else UnreadableError(reason)
            if pause is None:
                raise _outage(row["path"], reason) from error
            opened.forget(key)
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _was_listed(row: dict[str, Any]) -> bool:
    """Tell whether the listing saw the file: a list of paths or links may name what is not there."""
    return (row["reader"] != "range" or row["length"] is not None) and not row["path"].startswith("http")


def is_outage(error: Exception, path: str) -> bool:
    """Tell an error of disk, network or store from one of a file; an expired token comes as a permission.

    A link whose host refuses is dead, and a fact.
    """
    codes = LINK_CODES if path.startswith("http") else CODES
    silent = isinstance(error, ConnectionError | TimeoutError) or getattr(error, "errno", None) in codes
    return silent or "expired" in str(error)


def _outage(path: str, reason: str) -> WorkFailedError:
    return WorkFailedError(
        f"{path} needs a disk or store that answers, got {reason}, {len(PAUSES) + 1} times. "
        "Run the same command again: what is finished is kept."
    )
