"""From tables to the columns that are compared: decodable images that pass the quality rules.

What is held is 25 bytes an image. Uris, hashes and thumbnails are read for those items that need them.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Array, Bools, Bytes, Floats, Ints
from curation.dedup.comparable_parts import comparable_parts, gathered
from curation.dedup.compared_thumbnails import ThumbnailComparison, compared_thumbnails
from curation.dedup.ivf.search import fixed_bytes, to_ids
from curation.params.copies import DedupParams
from shared.catalog import IMAGES
from shared.stage_runner import Rounds
from shared.tables import Rows, made_by

HASHES, ID = 64, 16


@dataclass(frozen=True)
class ComparableImages:
    """The images of a corpus, or of evaluation sets, that may be compared."""

    rows: Ints
    """Where each stands in the whole index."""
    pixels_id: Array
    """Digests [n] of 16 opaque bytes."""
    trusted: Bools
    """Whether there is enough in the image to compare more than its bytes."""
    images: Rows
    measurements: Rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def made(self) -> str:
        """What measured them: under it equal pixels have equal vectors, hashes and thumbnails."""
        return made_by(self.measurements.store, self.measurements.output)

    def ids(self, items: Ints) -> Array:
        """Return the digests [n] of the items' pixels, 16 bytes each: of a corpus, leads of exact classes differ."""
        return self.pixels_id[items]

    def ids_of_files(self, items: Ints) -> Array:
        """Return the digests [n] of the items' bytes."""
        ids = np.empty((len(items), ID), np.uint8)
        for places, digests in _fixed(self.measurements, "image_id", ID, self.rows[items]):
            ids[places] = digests
        return ids.view("V16").ravel()

    def ids_in_sets(self, items: Ints) -> Array:
        """Return digests [n] of the items' pixels and evaluation sets: a picture in two sets is one in each."""
        sources = self.column("source", items).to_pylist()
        pixels = self.ids(items).tolist()
        digests = [
            hashlib.blake2b(p + s.encode(), digest_size=16).digest() for p, s in zip(pixels, sources, strict=True)
        ]
        return np.frombuffer(b"".join(digests), np.dtype("V16"))

    def places(self, items: Ints) -> pa.Table:
        """Return `part` and `row` of each."""
        return self.images.places(self.rows[items])

    def table(self, columns: Iterable[str], items: Ints) -> pa.Table:
        """Return some columns of the index for these items."""
        return self.images.taken(IMAGES, columns, self.rows[items])

    def column(self, name: str, items: Ints) -> pa.ChunkedArray:
        """Return one column of the index for these items."""
        return self.table([name], items)[name]

    def items_of(self, uris: pa.ChunkedArray) -> pa.Array:
        """Return the item [n] that has each uri; null where none has."""
        wanted, first = pc.unique(uris), 0
        item = np.full(len(wanted), -1, np.int64)
        for some in gathered(self.images.tables(["uri"])):
            low, high = np.searchsorted(self.rows, (first, first + some.num_rows))
            inside = some["uri"].take(pa.array(self.rows[low:high] - first))
            place = pc.index_in(inside, value_set=wanted).combine_chunks()
            item[place.drop_null().to_numpy()] = low + np.flatnonzero(place.is_valid().to_numpy(zero_copy_only=False))
            first += some.num_rows
        known = pa.array(item, mask=item < 0)
        return known.take(pc.index_in(uris, value_set=wanted).combine_chunks())

    def hashes(self, items: Ints) -> Iterator[tuple[Ints, Bytes]]:
        """Yield places [m] in these items and their eight hashes [m, 64], 64 bits each: the image upright, then turned.

        Part by part, in the order of the index.
        """
        return _fixed(self.measurements, "hashes", HASHES, self.rows[items])

    def alike(self, rounds: Rounds, name: str, ones: Ints, others: Ints, compare: ThumbnailComparison) -> Bools:
        """Return what a comparison of thumbnails says of pairs [n] of items."""
        pairs = self.rows[ones], self.rows[others]
        return compared_thumbnails(rounds, name, self.measurements, pairs, compare)

    def vectors(self, items: Ints | None = None, column: str = "vector") -> Floats:
        """Return unit vectors [n, dim] of all, or of these items in ascending order, read part by part."""
        return _vectors(self.measurements, self.rows if items is None else self.rows[items], column)


def comparable_images(images: Rows, measurements: Rows, verdicts: Rows | None, params: DedupParams) -> ComparableImages:
    """Return the columns of the images that may be compared."""
    most, count = images.output.rows, 0
    rows, ids, trusted = np.empty(most, np.int64), np.empty(most, "V16"), np.empty(most, bool)
    for part in comparable_parts((images, measurements, verdicts), [], ["pixels_id", "detail"]):
        some = slice(count, count := count + len(part.rows))
        rows[some] = part.rows
        ids[some] = to_ids(part.measured["pixels_id"])
        trusted[some] = part.measured["detail"].to_numpy() >= params.min_detail
    return ComparableImages(rows[:count], ids[:count], trusted[:count], images, measurements)


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
        low, high = np.searchsorted(rows, (first, first + part.num_rows))
        inside = rows[low:high] - first
        first += part.num_rows
        if len(inside):
            pieces.append(vectors_of(part, inside, column))
    return np.concatenate(pieces) if pieces else np.zeros((0, 1), np.float32)


def _fixed(measurements: Rows, column: str, width: int, numbers: Ints) -> Iterator[tuple[Ints, Bytes]]:
    """Yield places [m] in these numbers of rows, and a column of fixed bytes [m, width] of theirs, part by part."""
    order, first = np.argsort(numbers, kind="stable"), 0
    edges = np.searchsorted(numbers, np.cumsum([0, *(part.rows for part in measurements.output.parts)]), sorter=order)
    for part, (low, high) in zip(measurements.tables([column]), pairwise(edges), strict=True):
        if low < high:
            places = order[low:high]
            yield places, fixed_bytes(part[column].take(pa.array(numbers[places] - first))).reshape(-1, width)
        first += part.num_rows
