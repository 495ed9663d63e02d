"""Stores that do not answer: the errors of their clients, which have no ancestor in common, as one kind of mistake."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.errors import SourceError, WorkFailedError

CLIENTS = {
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "httpx": ("HTTPError",),
    "httpx2": ("HTTPError",),
    "aiohttp": ("ClientError",),
}
"""What the clients of object stores raise that is no OSError; each is asked for only where it is loaded already."""


def failures() -> tuple[type[Exception], ...]:
    """Return what a disk raises, and the clients that are loaded by now."""
    loaded = [(sys.modules[module], names) for module, names in CLIENTS.items() if module in sys.modules]
    kinds = (getattr(module, name, None) for module, names in loaded for name in names)
    return (OSError, *(kind for kind in kinds if isinstance(kind, type)))


@contextmanager
def reaching(who: str) -> Iterator[None]:
    """Raise SourceError where a place may not be listed, WorkFailedError where it does not answer."""
    try:
        yield
    except failures() as error:
        from curation.sources.outages import is_outage

        if isinstance(error, OSError) and not is_outage(error, ""):
            raise SourceError(
                f"{who} needs a place that can be listed, but: {error or type(error).__name__}. Check its permissions."
            ) from error
        raise WorkFailedError(
            f"{who} needs a place that answers, got {type(error).__name__}: {error}. "
            "Check the URL, your credentials and the network, then run the same command again."
        ) from error


def is_there(fs: Any, path: str) -> bool:
    """Tell whether a path exists. Raises what the store raises: `exists` of some takes an outage for a no."""
    try:
        fs.info(path)
    except FileNotFoundError:
        return False
    return True
