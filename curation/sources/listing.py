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

from pydantic import field_validator

from curation.sources.label_rule import LabelRule
from curation.sources.notes import Notes
from curation.sources.patterns import matches
from curation.sources.reaching import reaching
from shared.catalog import IMAGES
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
    metadata: str | None = None


def refused(uri: str, why: str, stamp: str) -> IndexRow:
    """Return the row of something that cannot be listed any closer: reading it gives `why`."""
    return IndexRow(uri, uri, stamp, reader="refused", member=why)


class Listed(Params):
    """The fields of every source, and what tells it when a person names nothing but a place."""

    endings: ClassVar[tuple[str, ...]] = ()
    """A file whose name ends so is such a source."""
    gathers: ClassVar[bool] = False
    """Whether a folder of such files is one, too."""
    chain: ClassVar[str] = ""
    """A URL that begins so and goes on behind :: is such a source."""
    marks: ClassVar[tuple[str, ...]] = ()
    """A folder that holds a file of one of these names is such a source."""
    label_words: ClassVar[tuple[str, ...]] = ("auto", "none", "folder", "sidecar", "metadata", "regex")
    """Ways to find labels that it understands."""

    url: str
    """Folder, file or fsspec URL (s3://…, gs://…)."""
    name: str = ""
    """Name of the source in tables and reports; the last part of the URL when empty."""
    include: tuple[str, ...] = ()
    """Only what one of these patterns means: an ending (jpg, .seg.png), a name, *.jpg, or a path with a slash
    (train/*). They win over guesses of what is a mask or a sidecar."""
    exclude: tuple[str, ...] = ()
    """Nothing that one of these patterns means."""
    label: str = "auto"
    """Where labels come from; auto = what the usual layouts say, and it is told what that is."""
    follow_links: bool = False
    """Also follow links that lead out of the source's folder; else they are counted as passed over."""
    metadata: tuple[str, ...] = ()
    """What to keep of each image beside its label, in the manifest and the shards: endings of sidecars (txt, json),
    columns of a table or of metadata.jsonl; ['*'] = all."""

    @field_validator("label")
    @classmethod
    def _label_is_understood(cls, label: str) -> str:
        LabelRule.parse(label, cls.label_words)
        return label

    @property
    def label_rule(self) -> LabelRule:
        """How labels are found."""
        return LabelRule.parse(self.label, self.label_words)

    @property
    def title(self) -> str:
        """The source's name."""
        return self.name or PurePosixPath(self.url.rstrip("/")).name or self.url

    def leaves_out(self, name: str) -> str | None:
        """Return why the recipe leaves a file out, by its path below the source; None where it does not."""
        left_out = bool(self.include) and not matches(self.include, name)
        return "excluded" if left_out or matches(self.exclude, name) else None

    def keeps(self, key: str) -> bool:
        """Tell whether something that is said of an image is kept."""
        return "*" in self.metadata or key in self.metadata

    def rows(self, notes: Notes) -> Iterable[IndexRow]:
        """Give the listing, image by image, and note what is no image. Raises SourceError when there is nothing."""
        raise NotImplementedError

    def tables(self, part_images: int, notes: Notes | None = None, metadata: bool = False) -> "Iterator[pa.Table]":
        """Yield the listing in parts of about `part_images` rows, with a column `metadata` where it is asked for.

        Raises SourceError when there is nothing.
        """
        with reaching(f"Source {self.title!r}"):
            for part in cut(self.rows(Notes() if notes is None else notes), part_images):
                yield table(part, self.title, metadata)


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


def table(rows: list[IndexRow], source: str, metadata: bool = False) -> "pa.Table":
    """Return rows as a table of IMAGES."""
    import pyarrow as pa

    columns: dict[str, Any] = dict(zip(IndexRow._fields, zip(*rows, strict=True), strict=True))
    columns["source"] = [source] * len(rows)
    schema = IMAGES.wide(("metadata",) if metadata else ())
    return pa.table([_array(columns[field.name], field.type) for field in schema], schema=schema)


def _array(values: Any, kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # a label that is not UTF-8: shown escaped
        return pa.array(
            [value and value.encode("utf-8", "surrogateescape").decode(errors="backslashreplace") for value in values],
            kind,
        )
