"""Measurements are remembered by the file: however parts are cut and sources are called, none is decoded twice."""

import numpy as np
import pyarrow as pa

from curation.measure.measure import measure_images
from curation.params import MeasureParams
from shared.catalog import MEASUREMENTS
from shared.stage_runner import RowMemory
from shared.stage_runner.memo import key
from shared.stage_runner.memo_runs import KEY_BYTES

WHAT = ("reader", "member", "offset", "length", "rotation", "stamp")
"""The columns of IMAGES that, beside the path, say which bytes are measured, and which way up."""
SCHEMA = pa.schema(
    [(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type) for field in MEASUREMENTS.schema]
)


def measure_new_images(images: pa.Table, params: MeasureParams, memory: RowMemory) -> pa.Table:
    """Return MEASUREMENTS of the images in their order, decoding only those that are not remembered.

    Raises FilesChangedError for files that are not as they were listed: nothing is remembered of them.
    """
    memo, keys = memory.rows(SCHEMA), file_keys(images, memory.identity)
    places, before = memo.lookup(keys)
    new = np.setdiff1d(np.arange(images.num_rows), places.to_numpy())
    measured = measure_images(images.take(pa.array(new)), params).cast(SCHEMA)
    memo.append(keys.take(pa.array(new)), measured)
    order = np.argsort(np.concatenate([places.to_numpy(), new]), kind="stable")
    return pa.concat_tables([before, measured]).take(pa.array(order))


def file_keys(images: pa.Table, identity: str) -> pa.Array:
    """Return the key of each row of IMAGES: of the file, what is read of it, its stamp, and what measures."""
    said = identity.encode()
    columns = (images[name].to_pylist() for name in WHAT)
    rows = zip(images["path"].to_pylist(), zip(*columns, strict=True), strict=True)
    keys = [key(path.encode(), repr(what).encode("utf-8", "surrogatepass"), said) for path, what in rows]
    return pa.array(keys, pa.binary(KEY_BYTES))
