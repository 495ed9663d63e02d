"""What `--source URL` means: the kind of source that a person would choose after a look at the place."""

from collections.abc import Iterator
from typing import Any

from curation.sources.file_list import ListSource
from curation.sources.files import find, is_local, open_location
from curation.sources.folder import FolderSource
from curation.sources.huggingface import HuggingFaceSource
from curation.sources.parquet import ParquetSource
from curation.sources.tar import COMPRESSED, TarSource
from shared.errors import SourceError
from shared.images.image_files import ending, may_be_image

Chosen = FolderSource | TarSource | ParquetSource | HuggingFaceSource | ListSource

SAVED = ("dataset_dict.json", "state.json")
"""What Hugging Face's save_to_disk leaves in a folder."""


def source_at(url: str) -> Chosen:
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
        return _folder(fs, path, url)
    chosen = _by_ending(path, url)
    if chosen is None and pattern:
        raise SourceError(f"The source {url} is a pattern: it must end in .tar or .parquet, so that its kind is known.")
    return chosen or FolderSource(url=url)


def _by_ending(path: str, url: str) -> Chosen | None:
    if path.lower().endswith((".tar", *COMPRESSED)):
        return TarSource(url=url)
    if ending(path) == ".parquet":
        return ParquetSource(url=url)
    return ListSource(url=url) if ending(path) in (".txt", ".lst", ".list") else None


def _folder(fs: Any, path: str, url: str) -> Chosen:
    if any(fs.exists(f"{path.rstrip('/')}/{name}") for name in SAVED):
        return HuggingFaceSource(url=url)
    chosen: Chosen | None = None
    for name in _names(fs, path):
        if may_be_image(name):
            return FolderSource(url=url)
        source = _by_ending(name, url)
        if isinstance(source, TarSource) or (chosen is None and isinstance(source, ParquetSource)):
            chosen = source  # tars beside Parquet files: the tables are about the images in the tars
    return chosen or FolderSource(url=url)


def _names(fs: Any, path: str) -> Iterator[str]:
    """Folder by folder: on an object store the first image ends a walk that would take minutes."""
    if is_local(fs):
        yield from (file.path for file in find(fs, path) if not file.problem)
        return
    for folder, _, files in fs.walk(path):
        yield from (f"{folder}/{name}" for name in files if "/." not in folder[len(path) :])
