"""Which images of a part of the measurements take part in a search: a small file that names the part and its rows."""

import json
from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Bytes, Floats, Ints
from curation.dedup.ivf.assign import VectorPart, fixed_binary
from curation.dedup.ivf.grid import on_grid
from curation.dedup.ivf.search import fixed_bytes, to_ids
from shared.storage import Store
from shared.storage.checked import read_table, write_table
from shared.tables import read_part


@dataclass(frozen=True)
class VectorColumn:
    """Where vectors lie: a column of a part of a table."""

    stage: str
    part: str
    checksum: str
    column: str


def write_selection(store: Store, name: str, source: VectorColumn, rows: Ints, ids: Array, roles: Array) -> None:
    """Commit a selection: rows [n] of the part, digests [n] of the images there, and their roles [n]."""
    table = pa.table({"row": pa.array(rows, pa.int32()), "image_id": fixed_binary(ids, 16), "role": pa.array(roles)})
    table = table.replace_schema_metadata({"source": json.dumps(asdict(source))})
    write_table(store, name, table)


def write_difference(store: Store, name: str, chosen: pa.Table, roles: Array, floors: Floats) -> None:
    """Commit a selection again, with what is left of the roles, and the least cosines that are of use to each."""
    columns = {"role": pa.array(roles, pa.int8()), "floor": pa.array(floors, pa.float32())}
    table = pa.table({"row": chosen["row"], "image_id": chosen["image_id"]} | columns)
    write_table(store, name, table.replace_schema_metadata(chosen.schema.metadata))


def read_selection(store: Store, name: str, thumbnails: bool = False) -> VectorPart:
    """Return the images of a selection, without those whose vector is all zeros: they are near nothing."""
    chosen = read_table(store, name)
    source = VectorColumn(**json.loads(chosen.schema.metadata[b"source"]))
    columns = [source.column, *(["thumbnail"] if thumbnails else [])]
    part = read_part(store, source.stage, source.part, source.checksum, columns=columns).take(chosen["row"])
    whole = VectorPart.of(to_ids(chosen["image_id"]), on_grid(_vectors(part[source.column])))
    whole = replace(whole, roles=chosen["role"].to_numpy())
    if "floor" in chosen.column_names:
        whole = replace(whole, floors=chosen["floor"].to_numpy())
    if thumbnails:
        whole = replace(whole, thumbnails=_thumbnails(part["thumbnail"]))
    return whole.where(np.asarray(whole.vectors.any(axis=1)))


def _vectors(column: pa.ChunkedArray) -> Floats:
    values = column.combine_chunks()
    values = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    return np.asarray(values.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1))


def _thumbnails(column: pa.ChunkedArray) -> Bytes:
    return fixed_bytes(column).reshape(len(column), -1)
