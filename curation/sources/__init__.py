"""Where images come from: a written union. A new source is one file here and one name in `Source`."""

from typing import Annotated

from pydantic import Field

from curation.sources.folder import FolderSource
from curation.sources.parquet import ParquetSource
from shared.errors import SourceError

Source = Annotated[FolderSource | ParquetSource, Field(discriminator="kind")]
"""A collection of images: a folder tree, or Parquet files with the images' bytes."""


def source_at(url: str) -> FolderSource | ParquetSource:
    """Choose the source for a path or URL as a person would: Parquet where there are Parquet files, else a folder.

    Raises SourceError when nothing is there.
    """
    import fsspec

    fs, path = fsspec.core.url_to_fs(url)
    if not fs.exists(path):
        raise SourceError(f"The source {url} does not exist. Give a folder of images, or of Parquet files with images.")
    if path.endswith(".parquet") or (fs.isdir(path) and fs.glob(f"{path}/**/*.parquet")):
        return ParquetSource(url=url)
    return FolderSource(url=url)
