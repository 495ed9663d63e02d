"""What `--source URL` means: the kind of source that a person would choose after a look at the place."""

from collections.abc import Iterator, Sequence
from typing import Any

from curation.sources.files import find, is_local, open_location
from curation.sources.folder import FolderSource
from curation.sources.listing import Listed
from shared.errors import SourceError
from shared.images.image_files import may_be_image


def choose(url: str, kinds: Sequence[type[Listed]]) -> Listed:
    """Choose the source for a path or URL: by the ending of a file, by what lies in a folder.

    A folder with an image in it is a folder of images, whatever else is there. Raises SourceError when nothing
    is at the URL, or nothing that can be told by its name.
    """
    fs, path = open_location(url, url)
    pattern = bool(set(path) & set("*?{"))
    if not pattern and not fs.exists(path):
        raise SourceError(
            f"The source {url} does not exist. Give a folder of images, or of tars or Parquet files with images."
        )
    if not pattern and fs.isdir(path):
        return _of_folder(fs, path, kinds)(url=url)
    chosen = next((kind for kind in kinds if path.lower().endswith(kind.endings)), None)
    if chosen is None and pattern:
        raise SourceError(f"The source {url} is a pattern: it must end in .tar or .parquet, so that its kind is known.")
    return (chosen or FolderSource)(url=url)


def _of_folder(fs: Any, path: str, kinds: Sequence[type[Listed]]) -> type[Listed]:
    root = path.rstrip("/")
    marked = (kind for kind in kinds if any(fs.exists(f"{root}/{name}") for name in kind.marks))
    if (kind := next(marked, None)) is not None:
        return kind
    held: set[type[Listed]] = set()
    for name in _names(fs, path):
        gathering = {kind for kind in kinds if kind.gathers and name.lower().endswith(kind.endings)}
        if not gathering and may_be_image(name):
            return FolderSource
        held |= gathering
    return next((kind for kind in kinds if kind in held), FolderSource)


def _names(fs: Any, path: str) -> Iterator[str]:
    """Folder by folder: on an object store the first image ends a walk that would take minutes."""
    if is_local(fs):
        yield from (file.path for file in find(fs, path) if not file.problem)
        return
    for folder, _, files in fs.walk(path):
        yield from (f"{folder}/{name}" for name in files if "/." not in folder[len(path) :])
