"""Files on a disk or an object store, as every source needs them: opened, found, named, and stamped."""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from shared.errors import SourceError

THREADS = 16
"""Requests to an object store at a time: they wait, they do not work."""

MISSING = "missing"
"""The stamp of a file that is not there."""

NO_IMAGES = frozenset(
    """.csv .tsv .txt .lst .list .json .jsonl .md .html .htm .xml .yaml .yml .toml .ini .log .py .ipynb .sh .cls .pdf
    .db .sqlite .parquet .arrow .feather .npy .npz .pt .pth .safetensors .pkl .mat .h5 .tfrecord
    .tar .tgz .tbz2 .txz .tzst .zip .gz .bz2 .xz .zst .7z .rar .mp4 .mov .avi .mkv .webm .mp3 .wav .flac .xmp .aae
    .md5 .sha256""".split()  # noqa: SIM905  one ending a line would be a page
)
"""Endings of files that are not one image each. Everything else is indexed: if it is broken, that is a row."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Found(NamedTuple):
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


def ending(path: str) -> str:
    """Return the last ending of a name, in lower case: `.jpg`; empty where there is none."""
    name = path[path.rfind("/") + 1 :]
    return name[name.rfind(".") :].lower() if "." in name[1:] else ""


def may_be_image(path: str) -> bool:
    """Tell whether a file may be an image, by its name."""
    return path[path.rfind("/") + 1 :][:1] != "." and ending(path) not in NO_IMAGES


def stamp(entry: dict[str, Any]) -> str:
    """Return something that changes when the file does, and sorts by time."""
    when = next(
        (entry[k] for k in ("mtime", "LastModified", "last_modified", "updated", "created") if entry.get(k)), ""
    )
    told = f"{when:020.6f}" if isinstance(when, int | float) else getattr(when, "isoformat", lambda: when)()
    tag = next((entry[k] for k in ("ETag", "etag", "md5Hash") if entry.get(k)), "")
    return f"{told} {entry.get('size')} {tag}".strip()


def look_at(fs: Any, path: str) -> Found:
    """Return one file; a missing one is told by its stamp and has no size."""
    try:
        if is_local(fs):
            return _found(path, os.stat(path))
        entry = fs.info(path)
    except (OSError, ValueError) as error:
        return Found(path, None, MISSING, f"{type(error).__name__}: {error}"[:300])
    return Found(path, entry.get("size"), stamp(entry))


def _found(path: str, status: os.stat_result) -> Found:
    return Found(path, status.st_size, f"{status.st_mtime:020.6f} {status.st_size}")


def find(fs: Any, root: str) -> Iterator[Found]:
    """Yield every file below a folder, hidden folders left out; a folder that cannot be listed has a problem."""
    if is_local(fs):
        yield from _find_here(root.rstrip("/") or "/")
        return
    for path, entry in fs.find(root, detail=True).items():
        if entry.get("type") == "file" and "/." not in path[len(root) :].rpartition("/")[0]:
            yield Found(str(path), entry.get("size"), stamp(entry))


def _find_here(root: str) -> Iterator[Found]:
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
            yield Found(f"{folder}/", None, MISSING, f"the folder cannot be listed: {error.strerror}")
            continue
        prefix = folder.rstrip("/")
        for entry in entries:
            path = f"{prefix}/{entry.name}"
            try:
                status = entry.stat()
            except OSError as error:
                yield Found(path, None, MISSING, f"{type(error).__name__}: {error.strerror}")
                continue
            if stat.S_ISREG(status.st_mode):
                yield _found(path, status)
            elif stat.S_ISDIR(status.st_mode) and not entry.name.startswith("."):
                (links if entry.is_symlink() else folders).append(path)
        links.sort(reverse=True)


def find_files(fs: Any, path: str, endings: tuple[str, ...], who: str) -> list[Found]:
    """Return the files that a file, a folder, a glob or a brace pattern names, in the order of their paths.

    Raises SourceError when one that is named is not there.
    """
    found: dict[str, Found] = {}
    for one in braces(path):
        if "*" in one or "?" in one:
            found |= {str(hit): look_at(fs, str(hit)) for hit in fs.glob(one)}
        elif fs.isdir(one):
            found |= {file.path: file for file in find(fs, one) if _is_wanted(file.path, endings)}
        else:
            found[one] = look_at(fs, one)
    missing = [file for file in found.values() if file.stamp == MISSING]
    if missing:
        raise SourceError(
            f"Source {who!r} needs {missing[0].path}, but cannot have it"
            f"{f', nor {len(missing) - 1} others' if missing[1:] else ''}: {missing[0].problem}. Check the URL."
        )
    return [found[path] for path in sorted(found)]


def _is_wanted(path: str, endings: tuple[str, ...]) -> bool:
    """A folder that cannot be listed is wanted: nobody knows what is in it."""
    return path.endswith("/") or (path.lower().endswith(endings) and not path.rpartition("/")[2].startswith("."))


def braces(pattern: str) -> list[str]:
    """Expand `{000..010}` and `{a,b}` as a shell does."""
    match = re.search(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}", pattern)
    if not match:
        return [pattern]
    first, last, words = match.groups()
    width = len(first) if first and first.startswith("0") else 0
    middles = words.split(",") if words else [f"{i:0{width}d}" for i in range(int(first), int(last) + 1)]
    before, behind = pattern[: match.start()], pattern[match.end() :]
    return [one for middle in middles for one in braces(before + middle + behind)]


def mapped(fs: Any, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the function of each item, in order; where answers travel, many are asked for at a time."""
    if is_local(fs):
        yield from map(function, items)
        return
    remaining = iter(items)
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := list(islice(remaining, 8 * THREADS)):
            yield from pool.map(function, batch)
