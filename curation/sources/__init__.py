"""Where images come from: a written union. A new source is one file here and one name in `Source`."""

from typing import Annotated, cast, get_args

from pydantic import Field

from curation.sources.choosing import choose
from curation.sources.file_list import ListSource
from curation.sources.folder import FolderSource
from curation.sources.huggingface import HuggingFaceSource
from curation.sources.open_images import OpenImagesSource
from curation.sources.parquet import ParquetSource
from curation.sources.tar import TarSource
from curation.sources.zip import ZipSource

__all__ = [
    "FolderSource",
    "HuggingFaceSource",
    "ListSource",
    "OpenImagesSource",
    "ParquetSource",
    "Source",
    "TarSource",
    "ZipSource",
    "source_at",
]

Source = Annotated[
    FolderSource | TarSource | ZipSource | ParquetSource | HuggingFaceSource | OpenImagesSource | ListSource,
    Field(discriminator="kind"),
]
"""A collection of images; `kind` says how it is laid out. Where a folder holds files of several, the first wins:
Parquet files beside tars are about the images in the tars."""


def source_at(url: str) -> Source:
    """Choose the source for a path or URL by what is there. Raises SourceError where that is nothing it can tell."""
    return cast(Source, choose(url, get_args(get_args(Source)[0])))
