"""From tables to the columns that are compared: decodable images that pass the quality rules."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Array, Bytes, Floats, Ints
from curation.dedup.exact_classes import ComparableColumns
from curation.dedup.thumbnails import thumbnails
from curation.params.copies import DedupParams
from shared.catalog import IMAGES, MEASUREMENTS, VERDICTS
from shared.tables import Rows, made_by

COLUMNS = ["image_id", "pixels_id", "width", "height", "bytes", "hashes", "detail"]
SIGNALS = ("sharpness", "entropy", "aspect")
"""Signals that the policy may ask for, beside those that are read anyway."""
HASHES = 64


@dataclass(frozen=True)
class ComparableImages:
    """The images of a corpus, or of evaluation sets, that may be compared."""

    columns: ComparableColumns
    rows: Ints
    """Where each stands in the whole index."""
    images: Rows
    measurements: Rows

    @property
    def made(self) -> str:
        """What measured them: under it equal pixels have equal vectors, hashes and thumbnails."""
        return made_by(self.measurements.store, self.measurements.output)

    def ids(self, items: Ints) -> Array:
        """Return the digests [n] of the items' pixels, 16 bytes each: of a corpus, leads of exact classes differ."""
        return np.frombuffer(b"".join(self.columns.pixels_id[items].tolist()), np.dtype("V16"))

    def ids_in_sets(self, items: Ints) -> Array:
        """Return digests [n] of the items' pixels and evaluation sets: a picture in two sets is one in each."""
        sources = self.column("source").take(pa.array(items)).to_pylist()
        pixels = self.columns.pixels_id[items].tolist()
        digests = [
            hashlib.blake2b(p + s.encode(), digest_size=16).digest() for p, s in zip(pixels, sources, strict=True)
        ]
        return np.frombuffer(b"".join(digests), np.dtype("V16"))

    def places(self) -> pa.Table:
        """Return `part` and `row` of each."""
        return self.images.places().take(self.rows)

    def table(self, columns: Iterable[str]) -> pa.Table:
        """Return some columns of the index for each."""
        return self.images.table(IMAGES, columns).take(self.rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one column of the index for each."""
        return self.table([name])[name]

    def thumbnails(self, items: Ints) -> Bytes:
        """Return the thumbnails [n, 1152] of these items in ascending order, read part by part."""
        rows, first, column = self.rows[items], 0, list[bytes]()
        for part in self.measurements.tables(["thumbnail"]):
            inside = rows[(rows >= first) & (rows < first + part.num_rows)] - first
            column += part["thumbnail"].take(pa.array(inside)).to_pylist()
            first += part.num_rows
        return thumbnails(column)

    def vectors(self, items: Ints | None = None, column: str = "vector") -> Floats:
        """Return unit vectors [n, dim] of all, or of these items in ascending order, read part by part."""
        return _vectors(self.measurements, self.rows if items is None else self.rows[items], column)


def comparable_images(images: Rows, measurements: Rows, verdicts: Rows | None, params: DedupParams) -> ComparableImages:
    """Return the decodable images that pass the quality rules; without verdicts, all that are decodable."""
    wanted = [*COLUMNS, *(name for name in SIGNALS if {name, f"-{name}"} & set(params.keep))]
    measured = measurements.table(MEASUREMENTS, wanted)
    passed = pc.is_valid(measured["pixels_id"])
    if verdicts is not None:
        passed = pc.and_(passed, pc.is_null(verdicts.table(VERDICTS, ["reason"])["reason"]))
    rows = np.flatnonzero(passed.to_numpy(zero_copy_only=False)).astype(np.int64)
    measured = measured.take(rows)
    listed = images.table(IMAGES, ["source", "uri"]).take(rows)
    columns = ComparableColumns(
        image_id=_objects(measured["image_id"]),
        pixels_id=_objects(measured["pixels_id"]),
        merits=tuple(_merit(name, measured, listed["source"]) for name in params.keep),
        uri=_objects(listed["uri"]),
        hashes=_hashes(measured["hashes"]),
        trusted=np.asarray(measured["detail"].to_numpy() >= params.min_detail, dtype=bool),
    )
    return ComparableImages(columns, rows, images, measurements)


def _merit(name: str, measured: pa.Table, sources: pa.ChunkedArray) -> np.ndarray:
    """Return a column of which the smaller value is better."""
    column = name.removeprefix("-")
    if column == "pixels":
        values = _ints(measured["width"]) * _ints(measured["height"])
    elif column == "source":  # the index lists the sources in the order of the recipe
        values = _ints(pc.index_in(sources.cast(pa.string()), value_set=pc.unique(sources.cast(pa.string()))))
    else:
        values = measured[column].to_numpy()
    return -values if name.startswith("-") else values


def vectors_of(part: pa.Table, rows: Ints, column: str = "vector") -> Floats:
    """Return the unit vectors [n, dim] of some rows of a part of the measurements."""
    taken = part[column].combine_chunks().take(pa.array(rows))
    vectors = taken.values.to_numpy(zero_copy_only=False).reshape(len(rows), -1).astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)


def _vectors(measurements: Rows, rows: Ints, column: str) -> Floats:
    pieces: list[Floats] = []
    first = 0
    for part in measurements.tables([column]):
        inside = rows[(rows >= first) & (rows < first + part.num_rows)] - first
        first += part.num_rows
        if len(inside):
            pieces.append(vectors_of(part, inside, column))
    return np.concatenate(pieces) if pieces else np.zeros((0, 1), np.float32)


def _hashes(column: pa.ChunkedArray) -> Bytes:
    return np.frombuffer(b"".join(column.to_pylist()), dtype=np.uint8).reshape(-1, HASHES)


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    return np.array(column.to_pylist(), dtype=object)


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.to_numpy(), dtype=np.int64)
