"""A folder tree of image files, on a disk or an object store; a pattern of files; or a single one."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

from pydantic import model_validator

from curation.sources.files import SourceFile, is_pattern, named_files, open_location, read_file, stat_file, uri_of
from curation.sources.label_rule import former_labels
from curation.sources.listing import IndexRow, Listed, refused
from curation.sources.notes import Notes
from curation.sources.reaching import is_there
from curation.sources.sidecars import Sidecars
from curation.sources.tree import Entry, pick
from curation.sources.walk import find
from shared.errors import SourceError
from shared.images.image_files import no_image


class FolderSource(Listed):
    """A folder tree of image files, a pattern such as photos/*.jpg, or one file."""

    kind: Literal["folder"] = "folder"
    """A folder tree with one file for each image; or some of its files, by a pattern."""

    @model_validator(mode="before")
    @classmethod
    def _former_keys(cls, given: Any) -> Any:
        return former_labels(given, {"labels": lambda on: "auto" if on in (True, "true") else "none"})

    def rows(self, notes: Notes) -> list[IndexRow]:
        """Return the files, oldest first, so that added ones come last."""
        fs, root = open_location(self.url, self.title)
        pattern = is_pattern(fs, root)
        if not pattern and not is_there(fs, root):
            raise SourceError(f"Source {self.title!r} needs a folder, but {self.url} does not exist. Check the path.")
        single = not pattern and not fs.isdir(root)
        if single and (why := no_image(root.rpartition("/")[2])):
            raise SourceError(
                f"Source {self.title!r} needs a folder or an image, but {self.url} is a file that is no image by its "
                f"name ({why}). Check the path, or say what it is with `kind`."
            )
        folder = _above(root) if pattern or single else root
        files = self._named(fs, root, notes) if pattern or single else find(fs, root, self.follow_links)
        entries = list(self._entries(fs, folder, files, notes))
        rows = pick(entries, self, notes, self._sidecars(entries))
        if all(row.reader == "refused" for row in rows):
            raise self._no_images(rows, notes)
        rows.sort(key=lambda row: (row.stamp, row.uri))
        return rows

    def _named(self, fs: Any, root: str, notes: Notes) -> Iterator[SourceFile]:
        """A pattern names files, and folders with all that is in them."""
        for path in dict.fromkeys(named_files(fs, root)):
            if fs.isdir(path):
                yield from find(fs, path, self.follow_links)
            else:
                yield stat_file(fs, path)

    def _entries(self, fs: Any, folder: str, files: Iterator[SourceFile], notes: Notes) -> Iterator[Entry]:
        start = len(folder.rstrip("/")) + 1
        for file in files:
            name = file.path[start:]
            if file.skip:
                notes.pass_over(name, file.skip)
                continue
            uri = uri_of(fs, file.path)
            row = (
                refused(uri, file.problem, file.stamp)
                if file.problem
                else IndexRow(uri, uri, file.stamp, length=file.size)
            )
            yield Entry(name, row, file.size, partial(read_file, fs, file.path))

    def _sidecars(self, entries: list[Entry]) -> Sidecars:
        """Sidecars are read where they are asked for; the usual ones of a folder say nothing of classes."""
        rule = self.label_rule
        sidecars = Sidecars(rule if rule.how == "sidecar" else rule._replace(how="none"), self.metadata)
        for entry in entries if rule.how == "sidecar" or self.metadata else ():
            if sidecars.wants(entry.name, entry.size) and entry.row.reader != "refused":
                sidecars.take(entry.name, entry.read())
        return sidecars

    def _no_images(self, rows: list[IndexRow], notes: Notes) -> SourceError:
        why = f": {rows[0].uri}: {rows[0].member}" if rows else ""
        return SourceError(
            f"Source {self.title!r} needs images, but {self.url} holds none{why}{notes.aside}. "
            "Give the folder that holds the pictures; subfolders are searched too."
        )


def _above(path: str) -> str:
    """Return the folder that a path or a pattern starts from."""
    parts = path.split("/")
    first = next((i for i, part in enumerate(parts) if set(part) & set("*?[{")), len(parts) - 1)
    return "/".join(parts[: min(first, len(parts) - 1)]) or "/"
