"""Everything that one decode of an image tells, as one row of measurements."""

from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Array
from curation.dedup.geometry.frame import trimmed
from curation.dedup.thumbnails import thumbnail
from curation.embedders.descriptor import DescriptorEmbedder
from curation.measure.decoders import each
from curation.measure.hashes import oriented_hashes
from curation.measure.phash import BYTES, phashes
from curation.measure.quality_signals import signals
from curation.params import MeasureParams
from curation.sources.outages import unchanged
from curation.sources.reading import read_bytes
from shared.catalog import MEASUREMENTS
from shared.errors import UnreadableError
from shared.images.decode import UndecodableError, decode
from shared.images.ids import digest
from shared.images.picture import Picture

CHUNK = 64
"""So many images go through the models together; of each only its small prepared pixels wait for the others."""

LISTS = ("vector", "layout", "scores")
PLAIN = pa.schema([field for field in MEASUREMENTS.schema if field.name not in LISTS])
EMPTY: dict[str, Any] = dict.fromkeys(PLAIN.names)

Measurement = dict[str, Any]
Prepared = list[Array]
"""What the embedder needs of an image, its layout, then what each scorer needs."""
NOTHING: Array = np.zeros(0, np.float32)


def measure_images(images: pa.Table, params: MeasureParams) -> pa.Table:
    """Return MEASUREMENTS of the images, one decode each, in their order.

    Raises FilesChangedError for files that are not as they were listed: nothing is measured of them.
    """
    files = zip(unchanged(images, read_bytes(images)), images["rotation"].to_pylist(), strict=True)
    rows: list[Measurement] = []
    vectors, layouts, scores = [], [], []
    measurements = each(partial(_measure_file, params=params), files)
    while chunk := list(islice(measurements, CHUNK)):
        rows += [row for row, _ in chunk]
        prepared = [inputs for _, inputs in chunk if inputs is not None]
        if prepared:
            vectors.append(params.embedder.vectors([inputs[0] for inputs in prepared]).astype(np.float16))
            layouts += [np.stack([inputs[1] for inputs in prepared]).astype(np.float16)] if params.layout else []
            scores.append(_scores(prepared, params))
    measured = np.array([row["pixels_id"] is not None for row in rows], dtype=bool)
    table = pa.Table.from_pylist(rows, PLAIN)
    table = table.append_column("vector", _lists(vectors, measured, pa.float16()))
    table = table.append_column("layout", _lists(layouts, measured, pa.float16()))
    table = table.append_column("scores", _lists(scores if params.scorers else [], measured, pa.float32()))
    return table.select(MEASUREMENTS.schema.names)


def _measure_file(
    file: tuple[bytes | UnreadableError, int | None], params: MeasureParams
) -> tuple[Measurement, Prepared | None]:
    data, rotation = file
    return measure_image(data, rotation, params)


def measure_image(
    data: bytes | UnreadableError, rotation: int | None, params: MeasureParams
) -> tuple[Measurement, Prepared | None]:
    """Return a row without its lists, and what models need; what cannot be decoded has an `error` and nulls."""
    if isinstance(data, UnreadableError):
        return EMPTY | {"error": str(data)}, None
    file = EMPTY | {"image_id": digest(data), "bytes": len(data)}
    try:
        decoded = decode(data, rotation)
    except UndecodableError as error:
        return file | {"error": str(error)}, None
    whole = Picture(decoded.image)
    inner_image = trimmed(whole.image)
    inner = whole if inner_image is whole.image else Picture(inner_image)
    hashes = oriented_hashes(inner.image, params.hash)
    width, height = whole.image.size
    row = file | {
        "pixels_id": digest(f"{width}x{height}:".encode(), whole.pixels, decoded.hidden.digest()),
        "width": width,
        "height": height,
        "format": decoded.format,
        "phash": (hashes if inner is whole and params.hash == "phash" else phashes(whole.image))[:BYTES],
        "hashes": hashes,
        "thumbnail": thumbnail(inner.image),
        **signals(whole),
    }
    layout = DescriptorEmbedder().prepared(inner) if params.layout else NOTHING
    return row, [params.embedder.prepared(inner), layout, *(scorer.prepared(whole) for scorer in params.scorers)]


def _scores(prepared: list[Prepared], params: MeasureParams) -> Array:
    """Return one column for each scorer [n, scorers]."""
    columns = [scorer.scores([inputs[i] for inputs in prepared]) for i, scorer in enumerate(params.scorers, start=2)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(prepared), 0), np.float32)


def _lists(chunks: list[Array], measured: Array, kind: pa.DataType) -> pa.ListArray:
    """Return the rows of the chunks as lists in the places that are `measured`, and nulls elsewhere."""
    measured = measured if chunks else np.zeros_like(measured)
    values = np.concatenate(chunks) if chunks else np.zeros((0, 0), kind.to_pandas_dtype())
    ends = np.concatenate([[0], np.cumsum(measured)]) * values.shape[1]
    return pa.ListArray.from_arrays(
        pa.array(ends, pa.int32()), pa.array(values.ravel(), kind), mask=pa.array(~measured)
    )
