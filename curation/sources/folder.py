"""A folder tree of image files, on a disk or an object store; the label is the parent folder's name."""

import logging
from collections import Counter
from typing import Literal

from curation.sources.files import find, open_location, uri_of
from curation.sources.listing import IndexRow, Listed, refused
from shared.errors import SourceError
from shared.images.image_files import ending, may_be_image

log = logging.getLogger(__name__)


class FolderSource(Listed):
    """A folder tree of image files."""

    kind: Literal["folder"] = "folder"
    """A folder tree with one file for each image."""
    labels: bool = True
    """Take the parent folder's name as the label; off for folders that mean nothing."""

    def rows(self) -> list[IndexRow]:
        """Return the files, oldest first, so that added ones come last."""
        fs, root = open_location(self.url, self.title)
        if not fs.isdir(root):
            raise SourceError(
                f"Source {self.title!r} needs a folder, but {self.url} "
                f"{'is a file' if fs.exists(root) else 'does not exist'}. Check the path."
            )
        skipped: Counter[str] = Counter()
        rows: list[IndexRow] = []
        for file in find(fs, root):
            uri = uri_of(fs, file.path)
            if not may_be_image(file.path):
                skipped[ending(file.path) or file.path.rpartition("/")[2]] += 1
            elif file.problem:
                rows.append(refused(uri, file.problem, file.stamp))
            else:
                label = label_below(root, file.path) if self.labels else None
                rows.append(IndexRow(uri, uri, file.stamp, label, length=file.size))
        tell_skipped(self.title, skipped)
        if all(row.reader == "refused" for row in rows):
            why = f": {rows[0].uri}: {rows[0].member}" if rows else ""
            raise SourceError(
                f"Source {self.title!r} needs images, but {self.url} holds none{why}"
                f"{f' ({skipped.total()} other files were passed over)' if skipped else ''}. "
                "Give the folder that holds the pictures; subfolders are searched too."
            )
        rows.sort(key=lambda row: (row.stamp, row.uri))
        return rows


def label_below(root: str, path: str) -> str | None:
    """Return the name of the folder that a file lies in; none for a file directly in the root."""
    return path[len(root.rstrip("/")) :].rpartition("/")[0].rpartition("/")[2] or None


def tell_skipped(who: str, skipped: Counter[str]) -> None:
    """Log what was passed over because its name says that it is no image."""
    if skipped:
        endings = ", ".join(f"{count} × {name}" for name, count in skipped.most_common(5))
        log.info("%s: %d files are no images by their names and were passed over (%s)", who, skipped.total(), endings)
