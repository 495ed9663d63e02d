"""What every source shares: its fields, a row of its listing, and the cutting of rows into parts that stay put.

A part ends after an image whose uri hashes low, not after a count: images added, changed or removed later
rename only the parts that they fall into. Sources list in an order in which added images come last.

A uri is the path of a file, or the path of a file and what is inside it: `shard.tar#dir/1.jpg`,
`outer.tar#inner.tar#1.jpg`, `train.parquet#17`, `train.arrow#17`.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from shared.catalog import IMAGES
from shared.errors import SourceError
from shared.params import Params

if TYPE_CHECKING:
    import pyarrow as pa


class IndexRow(NamedTuple):
    """One image of a listing: the columns of IMAGES but for the source's name."""

    uri: str
    path: str
    stamp: str
    label: str | None = None
    reader: str = "range"
    member: str | None = None
    offset: int | None = 0
    length: int | None = None
    rotation: int | None = None


def refused(uri: str, why: str, stamp: str) -> IndexRow:
    """Return the row of something that cannot be listed any closer: reading it gives `why`."""
    return IndexRow(uri, uri, stamp, reader="refused", member=why)


class Listed(Params):
    """The fields of every source, and what tells it when a person names nothing but a place."""

    endings: ClassVar[tuple[str, ...]] = ()
    """A file whose name ends so is such a source."""
    gathers: ClassVar[bool] = False
    """Whether a folder of such files is one, too."""
    marks: ClassVar[tuple[str, ...]] = ()
    """A folder that holds a file of one of these names is such a source."""
    url: str
    """Folder, file or fsspec URL (s3://…, gs://…)."""
    name: str = ""
    """Name of the source in tables and reports; the last part of the URL when empty."""

    @property
    def title(self) -> str:
        """The source's name."""
        return self.name or PurePosixPath(self.url.rstrip("/")).name or self.url

    def rows(self) -> Iterable[IndexRow]:
        """Give the listing, image by image. Raises SourceError when there is nothing."""
        raise NotImplementedError

    def tables(self, part_images: int) -> Iterator["pa.Table"]:
        """Yield the listing in parts of about `part_images` rows. Raises SourceError when there is nothing."""
        try:
            for part in cut(self.rows(), part_images):
                yield table(part, self.title)
        except OSError as error:
            raise SourceError(f"Source {self.title!r} needs a place that can be listed, but: {error}.") from error


def cut(rows: Iterable[IndexRow], part_images: int) -> Iterator[list[IndexRow]]:
    """Yield parts between half and twice `part_images` rows, cut where the content says."""
    part: list[IndexRow] = []
    for row in rows:
        part.append(row)
        size = len(part)
        if size >= 2 * part_images or (size >= part_images // 2 and _ends_a_part(row.uri, part_images)):
            yield part
            part = []
    if part:
        yield part


def _ends_a_part(uri: str, part_images: int) -> bool:
    """One uri in half a part's size ends a part, so that parts have `part_images` rows on average."""
    digest = hashlib.blake2b(uri.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % max(1, part_images // 2) == 0


def table(rows: list[IndexRow], source: str) -> "pa.Table":
    """Return rows as a table of IMAGES."""
    import pyarrow as pa

    columns: dict[str, Any] = dict(zip(IndexRow._fields, zip(*rows, strict=True), strict=True))
    columns["source"] = [source] * len(rows)
    return pa.table([_array(columns[field.name], field.type) for field in IMAGES.schema], schema=IMAGES.schema)


def _array(values: Any, kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # a name that is not UTF-8: shown escaped, and as a path it leads nowhere
        return pa.array(
            [value and value.encode("utf-8", "surrogateescape").decode(errors="backslashreplace") for value in values],
            kind,
        )
