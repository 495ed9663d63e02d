"""Files held open while rows are read, and which errors are a row's and which are everybody's."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from curation.sources.reaching import is_outage
from shared.errors import UnreadableError, WorkFailedError
from shared.images.file_names import is_remote

ReadResult = bytes | UnreadableError
"""The bytes of an image, or why there are none."""


class Opened:
    """The files at hand: a tar or a table is opened once, not once for each of its images."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._files: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any, open_it: Callable[[], Any]) -> Any:
        """Return what is open under a key; open it when it is not, and close what was used longest ago."""
        if key not in self._files:
            self._files[key] = open_it()
            if len(self._files) > self._most:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(key)
        return self._files[key]

    def close(self) -> None:
        """Close everything."""
        while self._files:
            self._files.popitem()[1].close()


def tried(path: str, read: Callable[[], bytes]) -> ReadResult:
    """Return what `read` gives, or the reason why it gives nothing.

    Raises WorkFailedError when an object store does not answer: an outage must not be taken for bad images.
    """
    try:
        return read()
    except UnreadableError as error:
        return error
    except (OSError, pa.ArrowException, ValueError) as error:
        if is_remote(path) and is_outage(error):
            raise outage(path, error) from error
        return UnreadableError(f"{type(error).__name__}: {error}"[:300])


def outage(path: str, error: Exception) -> WorkFailedError:
    """Return the error of a store that does not answer."""
    return WorkFailedError(
        f"{path} needs a store that answers, got {type(error).__name__}: {error}. "
        "Run the same command again: what is finished is kept."
    )
