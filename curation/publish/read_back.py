"""The original bytes of a few images by uri: kept ones from the shards, others through the index."""

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from curation.publish.lineage import Lineage
from curation.sources.reading import read_bytes
from shared.dataset_version import Published
from shared.tables import Rows

STORED = ["uri", "shard", "offset", "length", "rotation"]


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
