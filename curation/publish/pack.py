"""From one bucket of rows to a shard, a part of the manifest and a part of the dropped."""

import io
import tempfile
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.publish.shard_writer import write_shard
from curation.sources.outages import FilesChangedError
from curation.sources.reading import UnreadableError, read_bytes
from shared.catalog import DROPPED, MANIFEST
from shared.images.ids import digest
from shared.stage_runner import SideFiles
from shared.storage import sha256
from shared.tables import with_facts

SHARD = "shard.tar"
DROPPED_FILE = "dropped.parquet"


def pack_bucket(rows: pa.Table, files: SideFiles, number: int) -> pa.Table:
    """Write one shard and its dropped rows as side files; return the manifest rows."""
    rows = rows.set_column(rows.schema.get_field_index("image_id"), "image_id", _hex(rows["image_id"]))
    rows = rows.set_column(rows.schema.get_field_index("phash"), "phash", _hex(rows["phash"]))
    kept = rows.filter(pc.is_null(rows["reason"]))
    dropped = rows.filter(pc.is_valid(rows["reason"])).select(DROPPED.schema.names).cast(DROPPED.schema)
    sink = io.BytesIO()
    pq.write_table(dropped.sort_by("uri"), sink, compression="zstd")
    files.store.write(files.name(DROPPED_FILE), sink.getvalue())
    facts: dict[str, Any] = {"dropped": dropped.num_rows}
    shard, offsets = f"shard-{number:06d}.tar", []
    if kept.num_rows:
        with files.store.commit(files.name(SHARD)) as draft:
            offsets = write_shard(draft, _images(kept))
            facts |= {"sha256": sha256(draft), "bytes": draft.stat().st_size}
    columns = {name: kept[name] for name in MANIFEST.schema.names if name in kept.column_names}
    columns |= {
        "shard": pa.array([shard] * kept.num_rows, pa.string()),
        "offset": pa.array(offsets, pa.int64()),
        "length": kept["bytes"],
    }
    return with_facts(pa.table(columns), facts)


def _images(kept: pa.Table) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the images whose bytes are those that were measured; at the end, raise FilesChangedError for the others."""
    rows = kept.select(["image_id", "uri", "source", "label", "width", "height", "format", "rotation"]).to_pylist()
    changed: dict[str, str] = {}
    for facts, data in zip(rows, _bytes(kept), strict=True):
        content = "" if isinstance(data, UnreadableError) else digest(data).hex()
        if content == facts["image_id"] and isinstance(data, bytes):
            yield facts, data
        else:
            changed[facts["uri"]] = content
    if changed:
        raise FilesChangedError(changed)


def _bytes(kept: pa.Table) -> Iterator[bytes | UnreadableError]:
    """Yield the bytes of each row. A row group of a Parquet file is decoded once for the shard, not for every image."""
    if "parquet" not in pc.unique(kept["reader"].cast(pa.string())).to_pylist():
        yield from read_bytes(kept)
        return
    order = pc.sort_indices(kept, [("path", "ascending"), ("offset", "ascending")]).to_pylist()
    spooled: dict[int, tuple[int, int] | UnreadableError] = {}
    with tempfile.TemporaryFile() as spool:
        for row, data in zip(order, read_bytes(kept.take(order)), strict=True):
            spooled[row] = data if isinstance(data, UnreadableError) else (spool.tell(), spool.write(data))
        for row in range(kept.num_rows):
            span = spooled[row]
            if not isinstance(span, UnreadableError):
                spool.seek(span[0])
            yield span if isinstance(span, UnreadableError) else spool.read(span[1])


def _hex(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())
