"""The original bytes of a few images by uri, through the index: what galleries show and `explain` opens."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from curation.sources.reading import read_bytes
from shared.tables import Rows


def originals(images: Rows, uris: Iterable[str]) -> dict[str, bytes]:
    """Return the bytes of the uris that can be read; the others are missing from the result."""
    wanted = pa.array(sorted(set(uris)), pa.string())
    found: dict[str, bytes] = {}
    for part in images.tables():
        rows = part.filter(pc.is_in(part["uri"], wanted))
        for uri, data in zip(rows["uri"].to_pylist(), read_bytes(rows), strict=True):
            if isinstance(data, bytes):
                found[uri] = data
    return found
