"""Measurements are remembered by the file and by its content: however parts are cut, sources are called and files are
moved, none is decoded twice.

A row stands under a key of its content that begins as the file's does which was measured, so that the rows of one
archive are neighbours; this file, every other of this content, and the content itself are aliases. What could not be
read stands under the key of its file. A file that is not remembered is read, as nothing but its bytes can tell.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Ints
from curation.measure.contents import Contents
from curation.measure.measure import measure_images, measure_unless_known
from curation.params import MeasureParams
from shared.catalog import MEASUREMENTS
from shared.stage_runner import RowMemory
from shared.stage_runner.memo import key
from shared.stage_runner.memo_runs import KEY_BYTES

WHAT = ("reader", "member", "offset", "length", "rotation", "stamp")
"""The columns of IMAGES that, beside the path, say which bytes are measured, and which way up."""
Objects = np.ndarray[Any, np.dtype[np.object_]]
SCHEMA = pa.schema(
    [(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type) for field in MEASUREMENTS.schema]
)


def measure_new_images(images: pa.Table, params: MeasureParams, memory: RowMemory) -> pa.Table:
    """Return MEASUREMENTS of the images in their order, decoding only contents that are not remembered.

    Raises FilesChangedError for files that are not as they were listed: nothing is remembered of them.
    """
    memo, aliases = memory.rows(SCHEMA), memory.aliases()
    keys = file_keys(images, memory.identity)
    stands = np.array(aliases.resolved(keys).to_pylist(), dtype=object)

    def remembered(rows: Ints) -> tuple[Ints, pa.Table]:
        places, found = memo.lookup(_array(stands[rows]))
        return rows[places.to_numpy()], found

    known, rows_of_known = remembered(np.arange(images.num_rows))
    unknown = np.setdiff1d(np.arange(images.num_rows), known)
    contents = Contents(aliases, memory.identity)
    measured, found = measure_unless_known(images.take(pa.array(unknown)), stands[unknown].tolist(), params, contents)
    is_known = np.array([one.is_known for one in found], dtype=bool)
    stands[unknown] = [one.key or own for one, own in zip(found, stands[unknown], strict=True)]
    copied, rows_of_copied = remembered(unknown[is_known])
    lost = np.setdiff1d(unknown[is_known], copied)  # with a damaged run, deleted since it was looked up
    new = np.concatenate([unknown[~is_known], lost])
    made = pa.concat_tables([measured, measure_images(images.take(pa.array(lost)), params)]).cast(SCHEMA)
    memo.append(_array(stands[new]), made)
    names = zip(keys.take(pa.array(unknown)).to_pylist(), found, stands[unknown], strict=True)
    named = [(name, key) for own, one, key in names for name in (own, one.content) if name is not None]
    aliases.append(_array([name for name, _ in named]), _array([key for _, key in named]))
    order = np.argsort(np.concatenate([known, copied, new]), kind="stable")
    return pa.concat_tables([rows_of_known, rows_of_copied, made]).take(pa.array(order))


def _array(keys: Sequence[bytes] | Objects) -> pa.Array:
    return pa.array(keys, pa.binary(KEY_BYTES))


def file_keys(images: pa.Table, identity: str) -> pa.Array:
    """Return the key of each row of IMAGES: of the file, what is read of it, its stamp, and what measures."""
    said = identity.encode()
    columns = (images[name].to_pylist() for name in WHAT)
    rows = zip(images["path"].to_pylist(), zip(*columns, strict=True), strict=True)
    keys = [key(path.encode(), repr(what).encode("utf-8", "surrogatepass"), said) for path, what in rows]
    return pa.array(keys, pa.binary(KEY_BYTES))
