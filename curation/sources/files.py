"""Files on a disk or an object store, as every source needs them: opened, found, named, and stamped."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from braceexpand import braceexpand

from shared.errors import SourceError

THREADS = 16
"""Requests to an object store at a time: they wait, they do not work."""

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


def open_location(url: str, who: str) -> tuple[Any, str]:
    """Return the filesystem behind a URL, looking afresh, and the path on it.

    Raises SourceError for a protocol that is unknown or whose package is missing.
    """
    import fsspec

    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise SourceError(f"Source {who!r} needs a path or URL that can be opened, got {url}: {error}.") from error
    fs.invalidate_cache()  # a listing remembered from an earlier run would hide what was added since
    return fs, str(path)


def is_local(fs: Any) -> bool:
    """Tell whether a filesystem is this machine's."""
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,))


def uri_of(fs: Any, path: str) -> str:
    """Return how the rest of the pipeline names a file: a plain path here, a URL elsewhere."""
    return path if is_local(fs) else str(fs.unstrip_protocol(path))


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
            return _source_file(path, os.stat(path))
        entry = fs.info(path)
    except (OSError, ValueError) as error:
        return SourceFile(path, None, MISSING, f"{type(error).__name__}: {error}"[:300])
    return SourceFile(path, entry.get("size"), stamp(entry))


def _source_file(path: str, status: os.stat_result) -> SourceFile:
    return SourceFile(path, status.st_size, f"{status.st_mtime:020.6f} {status.st_size}")


def find(fs: Any, root: str) -> Iterator[SourceFile]:
    """Yield every file below a folder, hidden folders left out; a folder that cannot be listed has a problem."""
    if is_local(fs):
        yield from _find_here(root.rstrip("/") or "/")
        return
    for path, entry in fs.find(root, detail=True).items():
        if entry.get("type") == "file" and "/." not in path[len(root) :].rpartition("/")[0]:
            yield SourceFile(str(path), entry.get("size"), stamp(entry))


def _find_here(root: str) -> Iterator[SourceFile]:
    """Links to folders are followed last, so that a folder reached twice is listed under its own name."""
    folders, links, seen = [root], list[str](), set[tuple[int, int]]()
    while folders or links:
        folder = folders.pop() if folders else links.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = list(os.scandir(folder))
        except OSError as error:
            yield SourceFile(f"{folder}/", None, MISSING, f"the folder cannot be listed: {error.strerror}")
            continue
        prefix = folder.rstrip("/")
        for entry in entries:
            path = f"{prefix}/{entry.name}"
            try:
                status = entry.stat()
            except OSError as error:
                yield SourceFile(path, None, MISSING, f"{type(error).__name__}: {error.strerror}")
                continue
            if stat.S_ISREG(status.st_mode):
                yield _source_file(path, status)
            elif stat.S_ISDIR(status.st_mode) and not entry.name.startswith("."):
                (links if entry.is_symlink() else folders).append(path)
        links.sort(reverse=True)


def find_files(fs: Any, path: str, endings: tuple[str, ...], who: str) -> list[SourceFile]:
    """Return the files that a file, a folder, a glob or a brace pattern names, in the order of their paths.

    Raises SourceError when one that is named is not there.
    """
    files: dict[str, SourceFile] = {}
    for one in braces(path):
        if "*" in one or "?" in one:
            files |= {str(hit): stat_file(fs, str(hit)) for hit in fs.glob(one)}
        elif fs.isdir(one):
            files |= {file.path: file for file in find(fs, one) if _is_wanted(file.path, endings)}
        else:
            files[one] = stat_file(fs, one)
    missing = [file for file in files.values() if file.stamp == MISSING]
    if missing:
        raise SourceError(
            f"Source {who!r} needs {missing[0].path}, but cannot have it"
            f"{f', nor {len(missing) - 1} others' if missing[1:] else ''}: {missing[0].problem}. Check the URL."
        )
    return [files[path] for path in sorted(files)]


def _is_wanted(path: str, endings: tuple[str, ...]) -> bool:
    """A folder that cannot be listed is wanted: nobody knows what is in it."""
    return path.endswith("/") or (path.lower().endswith(endings) and not path.rpartition("/")[2].startswith("."))


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
