"""What every source shares: its fields, and the cutting of a listing into parts that stay put.

A part ends after an image whose uri hashes low, not after a count: files added, changed or removed later
rename only the parts that they fall into. Listings are sorted by modification time first, so that added
files fall into the last part.
"""

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from shared.contracts import IMAGES
from shared.params import Params

if TYPE_CHECKING:
    import pyarrow as pa


class Listed(Params):
    """The fields of every source."""

    url: str
    """Folder, file or fsspec URL (s3://…, gs://…)."""
    name: str = ""
    """Name of the source in tables and reports; the last part of the URL when empty."""

    @property
    def title(self) -> str:
        """The source's name."""
        return self.name or PurePosixPath(self.url.rstrip("/")).name or self.url

    def tables(self, part_images: int) -> Iterator["pa.Table"]:
        """Yield the listing in parts of about `part_images` rows. Raises SourceError when there is nothing."""
        raise NotImplementedError


def cuts(uris: list[str], part_images: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of parts between half and twice `part_images` rows, cut where the content says."""
    start = 0
    for i, uri in enumerate(uris):
        size = i + 1 - start
        if size >= 2 * part_images or (size >= part_images // 2 and _ends_a_part(uri, part_images)):
            yield start, i + 1
            start = i + 1
    if start < len(uris):
        yield start, len(uris)


def _ends_a_part(uri: str, part_images: int) -> bool:
    """One uri in half a part's size ends a part, so that parts have `part_images` rows on average."""
    digest = hashlib.blake2b(uri.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % max(1, part_images // 2) == 0


def listing(columns: dict[str, list[Any]], rows: int) -> "pa.Table":
    """Return a table of IMAGES from the columns given; the others are null."""
    import pyarrow as pa

    schema = IMAGES.schema
    return pa.table(
        [
            pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(rows, field.type)
            for field in schema
        ],
        schema=schema,
    )
