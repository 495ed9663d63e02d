"""Everything that lies below a folder, on a disk or an object store: files, and what is no file to read."""

import os
import stat
from collections.abc import Iterator
from typing import Any

from curation.sources.files import MISSING, SourceFile, file_of, is_local, stamp
from shared.images.image_files import SYSTEM


def find(fs: Any, root: str, follow_links: bool = False) -> Iterator[SourceFile]:
    """Yield everything below a folder once.

    What nobody would read says why in `skip`, and a folder in it is one thing, whose path ends with a slash: hidden
    ones, systems' thumbnails, pipes, links that lead out. A folder that cannot be listed has a problem.
    """
    if is_local(fs):
        yield from _Walk(root.rstrip("/") or "/", follow_links).files()
    else:
        yield from _find_there(fs, root)


def _find_there(fs: Any, root: str) -> Iterator[SourceFile]:
    found = fs.find(root, detail=True)
    folders = {path[:cut] for path in found for cut in _slashes(path, len(root))}
    told: set[str] = set()
    for path, entry in found.items():
        inner = path[len(root) :].strip("/")
        passed = _passed_folder(inner)
        if passed is not None:
            where = path[: len(path) - len(inner) + len(passed[0])] + "/"
            if where not in told:
                told.add(where)
                yield SourceFile(where, None, "", skip=passed[1])
        elif path.endswith("/") or (not entry.get("size") and path.rstrip("/") in folders):
            yield SourceFile(path.rstrip("/") + "/", 0, stamp(entry), skip="marker")
        elif entry.get("type") == "file":
            yield SourceFile(str(path), entry.get("size"), stamp(entry))


def _slashes(path: str, start: int) -> Iterator[int]:
    place = path.find("/", start + 1)
    while place > 0:
        yield place
        place = path.find("/", place + 1)


def _passed_folder(inner: str) -> tuple[str, str] | None:
    """Return the hidden or foreign folder that a path lies in, and which it is."""
    parts = inner.split("/")[:-1]
    for depth, part in enumerate(parts):
        why = _folder_rule(part)
        if why:
            return "/".join(parts[: depth + 1]), why
    return None


def _folder_rule(name: str) -> str | None:
    return "hidden" if name.startswith(".") else "system" if name.lower() in SYSTEM else None


class _Walk:
    """Links to folders are followed last, so that a folder reached twice is listed under its own name."""

    def __init__(self, root: str, follow_links: bool) -> None:
        self.folders, self.links = [root], list[str]()
        self.seen: set[tuple[int, int]] = set()
        self.inside = os.path.join(os.path.realpath(root), "")
        self.follow_links = follow_links

    def files(self) -> Iterator[SourceFile]:
        while self.folders or self.links:
            folder = self.folders.pop() if self.folders else self.links.pop()
            try:
                status = os.stat(folder)
                if (status.st_dev, status.st_ino) in self.seen:
                    continue
                self.seen.add((status.st_dev, status.st_ino))
                entries = list(os.scandir(folder))
            except OSError as error:
                yield SourceFile(f"{folder}/", None, MISSING, f"the folder cannot be listed: {error.strerror}")
                continue
            prefix = folder.rstrip("/")
            for entry in entries:
                file = self._entry(entry, f"{prefix}/{entry.name}")
                if file is not None:
                    yield file
            self.links.sort(reverse=True)

    def _entry(self, entry: "os.DirEntry[str]", path: str) -> SourceFile | None:
        """Return what an entry is; None for a folder that is to be walked."""
        is_link = entry.is_symlink()
        if is_link and not self.follow_links and not os.path.join(os.path.realpath(path), "").startswith(self.inside):
            return SourceFile(path, None, "", skip="link")
        try:
            status = entry.stat()
        except OSError as error:
            return SourceFile(path, None, MISSING, f"{type(error).__name__}: {error.strerror}")
        if stat.S_ISREG(status.st_mode):
            return file_of(path, status)
        if not stat.S_ISDIR(status.st_mode):
            return SourceFile(path, None, "", skip="special")
        why = _folder_rule(entry.name)
        if why:
            return SourceFile(f"{path}/", None, "", skip=why)
        (self.links if is_link else self.folders).append(path)
        return None
