"""A text file with one path or URL per line, and perhaps a label behind a tab."""

import logging
import os
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

from curation.sources.files import mapped, open_location, stat_file, uri_of
from curation.sources.listing import IndexRow, Listed
from shared.errors import SourceError

log = logging.getLogger(__name__)


class ListSource(Listed):
    """A text file that names images."""

    endings = (".txt", ".lst", ".list")
    kind: Literal["list"] = "list"
    """A text file with a path or URL per line, relative to the file; a label behind a tab; # begins a comment."""
    labels: Literal["list", "folder", "none"] = "list"
    """list = what stands behind the tab; folder = the name of the folder that the file lies in."""

    def rows(self) -> Iterator[IndexRow]:
        """Yield the images in the order of the lines, each once; a missing one is found out by reading it."""
        lines = self._lines()
        if not lines:
            raise SourceError(f"Source {self.title!r} needs a path or URL per line, but {self.url} names none.")
        stores: dict[str, tuple[Any, list[int], list[str]]] = {}
        located = list(lines.items())
        for i, (uri, _) in enumerate(located):
            protocol = uri.partition("://")[0] if "://" in uri else "file"
            if protocol not in stores:
                stores[protocol] = (open_location(uri, self.title)[0], [], [])
            fs, numbers, paths = stores[protocol]
            numbers.append(i)
            paths.append(uri if protocol == "file" else str(fs._strip_protocol(uri)))
        files: dict[int, Any] = {}
        for fs, numbers, paths in stores.values():
            files.update(zip(numbers, mapped(fs, partial(stat_file, fs), paths), strict=True))
        for i, (uri, label) in enumerate(located):
            yield IndexRow(uri, uri, files[i].stamp, label, length=files[i].size)

    def _lines(self) -> dict[str, str | None]:
        """Return the label of each image by its uri."""
        fs, path = open_location(self.url, self.title)
        if not fs.isfile(path):
            raise SourceError(f"Source {self.title!r} needs a text file, but {self.url} is none. Check the path.")
        folder = uri_of(fs, path).rpartition("/")[0] or "/"
        lines: dict[str, str | None] = {}
        again = 0
        for line in fs.cat_file(path).decode("utf-8-sig", "surrogateescape").splitlines():
            name, _, label = line.strip().partition("\t")
            if not name or name.startswith("#"):
                continue
            uri = _located(name.strip(), folder)
            if uri in lines:
                again += 1
                continue
            parent = uri.rpartition("/")[0].rpartition("/")[2]
            lines[uri] = {"list": label.strip(), "folder": parent, "none": None}[self.labels] or None
        if again:
            log.warning("%s: %d lines name an image that an earlier line names; it is indexed once", self.title, again)
        return lines


def _located(name: str, folder: str) -> str:
    """One spelling for each file, so that it is indexed once."""
    if "://" in name:
        return os.path.normpath(name.removeprefix("file://")) if name.startswith("file://") else name
    if "://" in folder:
        return f"{folder}/{name.removeprefix('./')}"
    return os.path.normpath(os.path.join(folder, os.path.expanduser(name)))
