"""What `--source URL` means: the kind of source that a person would choose after a look at the place."""

from collections.abc import Iterator, Sequence
from typing import Any

from curation.sources.files import is_local, is_pattern, open_location
from curation.sources.folder import FolderSource
from curation.sources.listing import Listed
from curation.sources.reaching import is_there, reaching
from curation.sources.walk import find
from shared.errors import SourceError
from shared.images.image_files import ending, no_image


def choose(url: str, kinds: Sequence[type[Listed]]) -> Listed:
    """Choose the source for a path or URL: by the ending of a file, by what lies in a folder.

    A folder with an image in it is a folder of images, whatever else is there. Raises SourceError when nothing
    is at the URL, when nothing can be told by its name, and when nobody answers.
    """
    with reaching(f"The source {url}"):
        return _choose(url, kinds)


def _choose(url: str, kinds: Sequence[type[Listed]]) -> Listed:
    chained = next((kind for kind in kinds if kind.chain and url.startswith(kind.chain) and "::" in url), None)
    if chained is not None:
        return chained(url=url)
    fs, path = open_location(url, url)
    pattern = is_pattern(fs, path)
    if not pattern and not is_there(fs, path):
        raise SourceError(
            f"The source {url} does not exist. Give a folder of images, or of tars or Parquet files with images."
        )
    if not pattern and fs.isdir(path):
        return _of_folder(fs, path, kinds)(url=url)
    chosen = next((kind for kind in kinds if path.lower().endswith(kind.endings)), None)
    if chosen is None and (why := no_image(path.rpartition("/")[2])) and ending(path):
        known = ", ".join(sorted({end for kind in kinds for end in kind.endings}))
        raise SourceError(
            f"The source {url} is no folder, and a file of a kind that is no image ({why}). "
            f"Give a folder, an image, a pattern of images, or one of {known}."
        )
    return (chosen or FolderSource)(url=url)


def _of_folder(fs: Any, path: str, kinds: Sequence[type[Listed]]) -> type[Listed]:
    root = path.rstrip("/")
    marked = (kind for kind in kinds if any(fs.exists(f"{root}/{name}") for name in kind.marks))
    if (kind := next(marked, None)) is not None:
        return kind
    held: set[type[Listed]] = set()
    for name in _names(fs, path):
        gathering = {kind for kind in kinds if kind.gathers and name.lower().endswith(kind.endings)}
        if not gathering and no_image(name.rpartition("/")[2]) is None:
            return FolderSource
        held |= gathering
    return next((kind for kind in kinds if kind in held), FolderSource)


def _names(fs: Any, path: str) -> Iterator[str]:
    """Folder by folder: on an object store the first image ends a walk that would take minutes."""
    if is_local(fs):
        yield from (file.path for file in find(fs, path) if not file.problem and not file.skip)
        return
    for folder, _, files in fs.walk(path):
        yield from (f"{folder}/{name}" for name in files if "/." not in folder[len(path) :])
