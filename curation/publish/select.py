"""Kept or dropped, for every image, with the first reason that holds; and the rows that go to the packer."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.catalog import DECISIONS, IMAGES, SIGNALS, WHERE
from shared.images.ids import digest

MEASURED = ["image_id", "width", "height", "format", "bytes", "phash", *SIGNALS, "error"]
INDEXED = ["source", "label", *WHERE]


def decide(
    measurements: pa.Table, verdicts: pa.Table, duplicates: pa.Table, contaminated: pa.Table, samples: pa.Table
) -> pa.Table:
    """Return DECISIONS for one part; the last three tables hold that part's rows only."""
    rows = measurements.num_rows
    none, no_text = pa.nulls(rows, pa.float32()), pa.nulls(rows, pa.string())
    unreadable = pc.if_else(pc.is_valid(measurements["error"]), "unreadable", pa.scalar(None, pa.string()))
    verdict_of = {"measure": StageVerdict(unreadable, none, none, no_text, no_text)}
    verdict_of["quality"] = StageVerdict(verdicts["reason"], verdicts["value"], verdicts["threshold"], no_text, no_text)
    copied, touched, sampled = (_spread(table, rows) for table in (duplicates, contaminated, samples))
    verdict_of["dedup"] = StageVerdict(*(copied[name] for name in StageVerdict._fields))
    reason = pc.if_else(pc.is_valid(touched["kept_uri"]), "contaminated", pa.scalar(None, pa.string()))
    verdict_of["decontaminate"] = StageVerdict(reason, *(touched[name] for name in StageVerdict._fields[1:]))
    left_out = pc.if_else(pc.equal(sampled["sampled"], False), "not_sampled", pa.scalar(None, pa.string()))
    verdict_of["balance"] = StageVerdict(left_out, none, none, no_text, no_text)
    return pa.table({**_first(verdict_of, rows), "cluster": sampled["cluster"], "weight": sampled["weight"]}).cast(
        DECISIONS.schema
    )


class StageVerdict(NamedTuple):
    """What one stage says of every image of a part; a null reason says nothing."""

    reason: pa.ChunkedArray
    value: pa.ChunkedArray
    threshold: pa.ChunkedArray
    kept_uri: pa.ChunkedArray
    orientation: pa.ChunkedArray


def _first(verdict_of: dict[str, StageVerdict], rows: int) -> dict[str, pa.ChunkedArray]:
    """Return, for each image, the stage that speaks first, and what it says."""
    stage, reason, kept_uri, orientation = (pa.nulls(rows, pa.string()) for _ in range(4))
    value, threshold = (pa.nulls(rows, pa.float32()) for _ in range(2))
    for name, verdict in verdict_of.items():
        speaks = pc.and_(pc.is_null(reason), pc.is_valid(verdict.reason))
        stage = pc.if_else(speaks, name, stage)
        reason = pc.if_else(speaks, verdict.reason.cast(pa.string()), reason)
        value = pc.if_else(speaks, verdict.value, value)
        threshold = pc.if_else(speaks, verdict.threshold, threshold)
        kept_uri = pc.if_else(speaks, verdict.kept_uri, kept_uri)
        orientation = pc.if_else(speaks, verdict.orientation.cast(pa.string()), orientation)
    columns = {"stage": stage, "reason": reason, "value": value, "threshold": threshold}
    return {**columns, "kept_uri": kept_uri, "orientation": orientation}


def _spread(table: pa.Table, rows: int) -> pa.Table:
    """Return the table's rows at the rows that they speak of, null everywhere else."""
    place = np.full(rows, -1, dtype=np.int64)
    place[table["row"].to_numpy()] = np.arange(table.num_rows)
    return table.take(pa.array(place, mask=place < 0))


def keyed_rows(images: pa.Table, measurements: pa.Table, decisions: pa.Table) -> pa.Table:
    """Return what the packer needs to know, keyed by image id, or by uri where there is none: `has_id` tells which.

    All rows of a part are written again for one that is new, so nothing is told twice: a null path is the uri.
    """
    columns = {name: images[name] for name in (*INDEXED, *IMAGES.optional) if name in images.column_names}
    columns["path"] = pc.if_else(pc.equal(images["path"], images["uri"]), pa.scalar(None, pa.string()), images["path"])
    columns |= {name: measurements[name] for name in MEASURED if name != "image_id"}
    columns |= {name: decisions[name] for name in DECISIONS.schema.names}
    columns["has_id"] = pc.is_valid(measurements["image_id"])
    ids, uris = measurements["image_id"].to_pylist(), images["uri"].to_pylist()
    keys = [i or digest(u.encode("utf-8", "surrogateescape")) for i, u in zip(ids, uris, strict=True)]
    return pa.table({"key": pa.array(keys, pa.binary(16)), **columns})
