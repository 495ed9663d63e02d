"""Kept or dropped, for every image, with the first reason that holds; and the rows that go to the packer."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts import DECISIONS, SIGNALS

MEASURED = ["image_id", "width", "height", "format", "bytes", "phash", *SIGNALS, "error"]
INDEXED = ["uri", "source", "label", "reader", "path", "member", "offset", "length"]


def decide(measurements: pa.Table, verdicts: pa.Table, duplicates: pa.Table) -> pa.Table:
    """Return DECISIONS for one part; `duplicates` holds that part's rows only."""
    rows = measurements.num_rows
    unreadable = pc.is_valid(measurements["error"])
    stage = pc.if_else(unreadable, "measure", pa.scalar(None, pa.string()))
    reason = pc.if_else(unreadable, "unreadable", pa.scalar(None, pa.string()))
    poor = pc.and_(pc.is_null(reason), pc.is_valid(verdicts["reason"]))
    stage = pc.if_else(poor, "quality", stage)
    reason = pc.if_else(poor, verdicts["reason"].cast(pa.string()), reason)
    found = _spread(duplicates, rows)
    copied = pc.and_(pc.is_null(reason), pc.is_valid(found["reason"]))
    none = pa.nulls(rows, pa.float32())
    return pa.table(
        {
            "stage": pc.if_else(copied, "dedup", stage),
            "reason": pc.if_else(copied, found["reason"], reason),
            "value": pc.if_else(copied, found["value"], pc.if_else(poor, verdicts["value"], none)),
            "threshold": pc.if_else(copied, found["threshold"], pc.if_else(poor, verdicts["threshold"], none)),
            "kept_uri": pc.if_else(copied, found["kept_uri"], pa.nulls(rows, pa.string())),
        }
    ).cast(DECISIONS.schema)


def _spread(duplicates: pa.Table, rows: int) -> pa.Table:
    """Return the duplicates at their rows, null everywhere else."""
    place = np.full(rows, -1, dtype=np.int64)
    place[duplicates["row"].to_numpy()] = np.arange(duplicates.num_rows)
    spread = duplicates.take(pa.array(place, mask=place < 0))
    return spread.set_column(spread.schema.get_field_index("reason"), "reason", spread["reason"].cast(pa.string()))


def keyed_rows(images: pa.Table, measurements: pa.Table, decisions: pa.Table) -> pa.Table:
    """Return what the packer needs to know, keyed by image id, or by uri where there is none."""
    columns = {name: images[name] for name in INDEXED}
    columns |= {name: measurements[name] for name in MEASURED}
    columns |= {name: decisions[name] for name in DECISIONS.schema.names}
    ids, uris = measurements["image_id"].to_pylist(), images["uri"].to_pylist()
    keys = [i or _digest(u) for i, u in zip(ids, uris, strict=True)]
    return pa.table({"key": pa.array(keys, pa.binary(16)), **columns})


def _digest(uri: str) -> bytes:
    return hashlib.blake2b(uri.encode("utf-8", "surrogateescape"), digest_size=16).digest()
