"""A text file with one path or URL per line, and perhaps a label behind a tab."""

import logging
import os
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

from pydantic import model_validator

from curation.sources.files import is_local, mapped, open_location, stat_file, uri_of
from curation.sources.label_rule import former_labels
from curation.sources.listing import IndexRow, Listed
from curation.sources.notes import Notes
from shared.errors import SourceError
from shared.images.file_names import URL, as_path, as_text, is_remote

log = logging.getLogger(__name__)


class ListSource(Listed):
    """A text file that names images."""

    endings = (".txt", ".lst", ".list")
    kind: Literal["list"] = "list"
    """A text file with a path or URL per line, relative to the file; a label behind a tab; # begins a comment.
    label: auto is what stands behind the tab."""
    label_words = ("auto", "none", "list", "folder", "regex")

    @model_validator(mode="before")
    @classmethod
    def _former_keys(cls, given: Any) -> Any:
        return former_labels(given, {"labels": str})

    def rows(self, notes: Notes) -> Iterator[IndexRow]:
        """Yield the images in the order of the lines, each once; a missing one is found out by reading it."""
        lines = self._lines(notes)
        if not lines:
            raise SourceError(f"Source {self.title!r} needs a path or URL per line, but {self.url} names none.")
        stores: dict[str, tuple[Any, list[int], list[str]]] = {}
        located = list(lines.items())
        for i, (uri, _) in enumerate(located):
            protocol = uri.partition("://")[0] if is_remote(uri) else "file"
            if protocol not in stores:
                stores[protocol] = (open_location(uri, self.title)[0], [], [])
            fs, numbers, paths = stores[protocol]
            numbers.append(i)
            paths.append(uri if protocol == "file" else str(fs._strip_protocol(uri)))
        files: dict[int, Any] = {}
        for fs, numbers, paths in stores.values():
            files.update(zip(numbers, mapped(fs, partial(stat_file, fs), paths), strict=True))
        for i, (uri, label) in enumerate(located):
            text = uri if is_remote(uri) else as_text(uri)
            yield IndexRow(text, text, files[i].stamp, label, length=files[i].size)

    def _lines(self, notes: Notes) -> dict[str, str | None]:
        """Return the label of each image by its uri."""
        fs, path = open_location(self.url, self.title)
        if not fs.isfile(path):
            raise SourceError(f"Source {self.title!r} needs a text file, but {self.url} is none. Check the path.")
        folder = (path if is_local(fs) else uri_of(fs, path)).rpartition("/")[0] or "/"
        lines: dict[str, str | None] = {}
        again = 0
        for line in fs.cat_file(path).decode("utf-8-sig", "surrogateescape").splitlines():
            name, _, label = line.strip().partition("\t")
            if not name or name.startswith("#"):
                continue
            uri = _located(name.strip(), folder)
            again += uri in lines
            why = "twice" if uri in lines else self.leaves_out(uri.strip("/"))
            if why:
                notes.pass_over(uri, why)
            else:
                lines[uri] = self._label(uri, label.strip())
        if again:
            log.warning("%s: %d lines name an image that an earlier line names; it is indexed once", self.title, again)
        return lines

    def _label(self, uri: str, behind_tab: str) -> str | None:
        rule = self.label_rule
        if rule.how in ("auto", "list"):
            return behind_tab or None
        return rule.by_path(uri.strip("/")) if rule.how in ("folder", "regex") else None


def _located(name: str, folder: str) -> str:
    """One spelling for each file, so that it is indexed once."""
    if "://" in name:
        return _of_url(name) if name.startswith(URL) else name
    if is_remote(folder):
        return f"{folder}/{name.removeprefix('./')}"
    return os.path.normpath(os.path.join(folder, os.path.expanduser(name)))


def _of_url(url: str) -> str:
    """Return the path of a file URL: as it is spelled where such a file is there, else with its %20 read."""
    spelled = url.removeprefix(URL)
    return os.path.normpath(spelled if os.path.exists(spelled) else as_path(url))
