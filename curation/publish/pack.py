"""From one bucket of rows to the images that are to be published, and beside them the dropped ones. Reads no image."""

import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.catalog import DROPPED, MANIFEST, PACKED
from shared.params import fingerprint
from shared.stage_runner import SideFiles
from shared.tables import with_facts

DROPPED_FILE = "dropped.parquet"
PLACES = ("shard", "offset", "length")
"""Columns of the manifest that tell where an image lies, and nothing about it."""


def pack_bucket(rows: pa.Table, files: SideFiles, exif: bool = False) -> pa.Table:
    """Write the dropped rows as a side file; return PACKED, with a name for what a version says of these images.

    The name is of the content alone, as it stands in the manifest but for shard and offset: however a dataset grew,
    equal content has equal names.
    """
    rows = rows.append_column("image_id", _hex(pc.if_else(rows["has_id"], rows["key"], None)))
    rows = rows.set_column(rows.schema.get_field_index("phash"), "phash", _hex(rows["phash"]))
    kept = rows.filter(pc.is_null(rows["reason"]))
    kept = kept.select([name for name in PACKED.wide(rows.column_names).names if name in rows.column_names])
    dropped = rows.filter(pc.is_valid(rows["reason"])).select(DROPPED.schema.names).cast(DROPPED.schema)
    dropped = dropped.sort_by("uri")
    sink = io.BytesIO()
    pq.write_table(dropped, sink, compression="zstd")
    files.store.write(files.name(DROPPED_FILE), sink.getvalue())
    said = [name for name in MANIFEST.wide(kept.column_names).names if name in kept.column_names and name not in PLACES]
    content = fingerprint("content", kept.select(said).to_pydict(), dropped.to_pydict(), exif)
    first = kept["image_id"][0].as_py() if kept.num_rows else None
    return with_facts(kept, {"content": content, "first": first, "dropped": dropped.num_rows})


def _hex(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())
