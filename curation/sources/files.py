"""Files on a disk or an object store, as every source needs them: opened, found, named, and stamped."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from braceexpand import braceexpand

from shared.errors import SourceError
from shared.images.file_names import URL, as_path, as_text
from shared.storage.credentials import located

THREADS = 16
"""Requests to an object store at a time: they wait, they do not work."""

EVERYBODY = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
"""What lets everybody read a file."""
MISSING = "missing"
"""The stamp of a file that is not there."""

In = TypeVar("In")
Out = TypeVar("Out")


class SourceFile(NamedTuple):
    """A file: its path as the filesystem knows it, its bytes, and what changes when it does."""

    path: str
    size: int | None
    stamp: str
    problem: str | None = None
    """Why there is nothing to read, where that is known."""
    skip: str | None = None
    """Why nobody would want to read it, as one of the notes' words."""


def open_location(url: str, who: str) -> tuple[Any, str]:
    """Return the filesystem behind a URL, looking afresh, and the path on it.

    Raises SourceError for a protocol that is unknown or whose package is missing.
    """
    import fsspec

    local = os.path.abspath(os.path.expanduser(as_path(url)))
    try:
        if url.startswith(URL) or os.path.lexists(local):  # a name may hold the letters of a pattern or of a URL
            fs, path = fsspec.filesystem("file"), local
        elif "::" in url:
            raise SourceError(
                f"Source {who!r} needs a URL that stands alone, got the chained {url}. Leave out all but the last; "
                "a zip is opened as it is: --source FILE.zip."
            )
        else:
            fs, path = located(url)
    except (ValueError, ImportError) as error:
        raise SourceError(f"Source {who!r} needs a path or URL that can be opened, got {url}: {error}.") from error
    fs.invalidate_cache()  # a listing remembered from an earlier run would hide what was added since
    return fs, str(path)


def is_local(fs: Any) -> bool:
    """Tell whether a filesystem is this machine's."""
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,))


def uri_of(fs: Any, path: str) -> str:
    """Return how the rest of the pipeline names a file: a plain path here, a URL elsewhere."""
    return as_text(path) if is_local(fs) else str(fs.unstrip_protocol(path))


def stamp(entry: dict[str, Any]) -> str:
    """Return something that changes when the file does, and sorts by time."""
    when = next(
        (entry[k] for k in ("mtime", "LastModified", "last_modified", "updated", "created") if entry.get(k)), ""
    )
    time = f"{when:020.6f}" if isinstance(when, int | float) else getattr(when, "isoformat", lambda: when)()
    tag = next((entry[k] for k in ("ETag", "etag", "md5Hash") if entry.get(k)), "")
    return f"{time} {entry.get('size')} {tag}".strip()


def stat_file(fs: Any, path: str) -> SourceFile:
    """Return one file; a missing one is told by its stamp and has no size."""
    try:
        if is_local(fs):
            return file_of(path, os.stat(path))
        entry = fs.info(path)
    except (OSError, ValueError) as error:
        return SourceFile(path, None, MISSING, f"{type(error).__name__}: {error}"[:300])
    return SourceFile(path, entry.get("size"), stamp(entry))


def file_of(path: str, status: os.stat_result) -> SourceFile:
    """Return a file of this machine; where not everybody may read it, who may is in its stamp: that can be mended."""
    mode = stat.S_IMODE(status.st_mode)
    who = "" if mode & EVERYBODY == EVERYBODY else f" {mode:o} {status.st_uid}:{status.st_gid}"
    return SourceFile(path, status.st_size, f"{status.st_mtime:020.6f} {status.st_size}{who}")


def read_file(fs: Any, path: str, start: int = 0, size: int | None = None) -> bytes:
    """Return the bytes of a file, or so many from a place on."""
    if is_local(fs):
        with open(path, "rb") as file:
            file.seek(start)
            return file.read() if size is None else file.read(size)
    data: bytes = fs.cat_file(path, start=start or None, end=None if size is None else start + size)
    return data


def is_pattern(fs: Any, path: str) -> bool:
    """Tell a pattern from a name: what is there under just this name is no pattern, whatever its letters."""
    return bool(set(path) & set("*?[{")) and not fs.exists(path)


def named_files(fs: Any, path: str) -> Iterator[str]:
    """Yield the paths that a glob or a brace pattern names, or the path itself. A file in two patterns comes twice."""
    if not is_pattern(fs, path):
        yield path
        return
    for one in braces(path):
        if is_pattern(fs, one) and set(one) & set("*?["):
            yield from map(str, fs.glob(one))
        else:
            yield one


def braces(pattern: str) -> list[str]:
    """Expand `{000..010}` and `{a,b}` as a shell does; a brace without its other half is a letter of the name."""
    try:
        return list(braceexpand(pattern, escape=False))
    except ValueError:
        return [pattern]


def mapped(fs: Any, function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """Yield the function of each item, in order; where answers travel, many are asked for at a time."""
    if is_local(fs):
        yield from map(function, items)
        return
    remaining = iter(items)
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := list(islice(remaining, 8 * THREADS)):
            yield from pool.map(function, batch)
