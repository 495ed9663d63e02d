"""A few images by uri: original bytes, from the shards or through the index, or what was measured of them."""

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from curation.publish.lineage import Lineage
from curation.sources.reading import read_bytes
from shared.dataset_version import Published
from shared.errors import DamagedFileError
from shared.tables import Rows, read_part

STORED = ["uri", "shard", "offset", "length", "rotation"]
MEASURED = ["image_id", "thumbnail", "width", "height"]


class Original(NamedTuple):
    """The bytes of a file, and by how many degrees its source says that the picture must be turned."""

    data: bytes
    rotation: int | None = None


def originals(dataset: Published, lineage: Lineage, uris: Iterable[str]) -> dict[str, Original]:
    """Return the originals of the uris that can be read; the others are missing from the result."""
    wanted = set(uris)
    readable = kept_originals(dataset, wanted)
    for stage in ("index", "references"):
        rows = lineage.rows(stage) if wanted - set(readable) else None
        if rows is not None:
            readable |= indexed_originals(rows, wanted - set(readable))
    return readable


class StoredThumbnail(NamedTuple):
    """What measuring left of an image whose bytes cannot be read."""

    image_id: bytes
    """The digest of those bytes."""
    thumbnail: bytes
    """Shows it without uniform borders."""
    width: int
    height: int
    """Of the whole image, upright."""
    rotation: int | None


def originals_or_thumbnails(
    dataset: Published, lineage: Lineage, uris: Iterable[str]
) -> dict[str, Original | StoredThumbnail]:
    """Return the originals of the uris that can be read, and of the others their thumbnails, while the cache lasts."""
    wanted = set(uris)
    found: dict[str, Original | StoredThumbnail] = {**originals(dataset, lineage, wanted)}
    for listing, measuring in (("index", "measure"), ("references", "measure_references")):
        images, measurements = lineage.rows(listing), lineage.rows(measuring)
        if images and measurements and wanted - set(found):
            found |= _stored_thumbnails(images, measurements, wanted - set(found))
    return found


def _stored_thumbnails(images: Rows, measurements: Rows, uris: set[str]) -> dict[str, StoredThumbnail]:
    """Return the thumbnails of those that were decoded; only parts that hold one of them are read."""
    wanted, found = _array(uris), dict[str, StoredThumbnail]()
    for listed, part in zip(images.tables(["uri", "rotation"]), measurements.output.parts, strict=True):
        chosen = pc.is_in(listed["uri"], wanted)
        if not pc.any(chosen).as_py():
            continue
        store, stage = measurements.store, measurements.output.stage
        try:
            measured = read_part(store, stage, part.name, part.checksum, columns=MEASURED)
        except DamagedFileError:  # or one of long ago, without that column: it costs pictures, not the page
            continue
        for row, facts in zip(*(table.filter(chosen).to_pylist() for table in (listed, measured)), strict=True):
            if facts["thumbnail"]:
                found[row["uri"]] = StoredThumbnail(**facts, rotation=row["rotation"])
    return found


def kept_originals(dataset: Published, uris: Iterable[str]) -> dict[str, Original]:
    """Return the originals of kept images, which the dataset itself holds."""
    if not dataset.files("manifest"):
        return {}
    kept = dataset.table("manifest", STORED)
    readable: dict[str, Original] = {}
    for row in kept.filter(pc.is_in(kept["uri"], _array(uris))).to_pylist():
        try:
            data = dataset.read(row["shard"], row["offset"], row["length"])
        except FileNotFoundError:  # a lost shard costs a picture, not the page
            continue
        readable[row["uri"]] = Original(data, row["rotation"])
    return readable


def indexed_originals(images: Rows, uris: Iterable[str]) -> dict[str, Original]:
    """Return the originals that lie where the index says."""
    wanted = _array(uris)
    readable: dict[str, Original] = {}
    for part in images.tables():
        rows = part.filter(pc.is_in(part["uri"], wanted))
        files = zip(rows["uri"].to_pylist(), rows["rotation"].to_pylist(), read_bytes(rows, to_show=True), strict=True)
        readable |= {uri: Original(data, rotation) for uri, rotation, data in files if isinstance(data, bytes)}
    return readable


def _array(uris: Iterable[str]) -> pa.Array:
    return pa.array(sorted(set(uris)), pa.string())
