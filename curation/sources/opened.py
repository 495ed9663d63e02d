"""Files held open while rows are read."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

PAUSES = (0.1, 0.5, 2.0)
"""Seconds between one try of a read and the next."""


class Opened:
    """The files at hand: a tar or a table is opened once, not once for each of its images."""

    def __init__(self, pauses: Sequence[float] | None = None, most: int = 64) -> None:
        """Take the seconds between one try of a read and the next; none = failures are only shown."""
        self.pauses = PAUSES if pauses is None else pauses
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

    def forget(self, key: Any) -> None:
        """Close what is open under a key: it may be the handle that is stale."""
        if key in self._files:
            self._files.pop(key).close()

    def close(self) -> None:
        """Close everything."""
        while self._files:
            self._files.popitem()[1].close()
