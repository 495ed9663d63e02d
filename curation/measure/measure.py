"""Everything that one decode of an image tells, as one row of measurements."""

from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from curation.arrays import Array
from curation.dedup.geometry.frame import trimmed_picture
from curation.embedders.descriptor import DescriptorEmbedder
from curation.measure.decoders import each
from curation.measure.quality_signals import signals
from curation.measure.small import Small, facts_of, small
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
FileRead = tuple[bytes | UnreadableError, int | None]
"""Its bytes or why there are none, and by how much its source turns it."""
NOTHING: Array = np.zeros(0, np.float32)


class Prepared(NamedTuple):
    """What models need of an image: small, so that many fit in memory where their images do not."""

    embedded: Array
    layout: Array
    """What `descriptor` needs, where it stands beside the embedder."""
    scored: list[Array]
    """What each scorer needs."""


def measure_images(images: pa.Table, params: MeasureParams) -> pa.Table:
    """Return MEASUREMENTS of the images, one decode each, in their order.

    Raises FilesChangedError for files that are not as they were listed: nothing is measured of them.
    """
    files = zip(unchanged(images, read_bytes(images)), images["rotation"].to_pylist(), strict=True)
    rows: list[Measurement] = []
    vectors, layouts, scores = [], [], []
    measurements = each(partial(measure_files, params=params), files)
    while chunk := list(islice(measurements, CHUNK)):
        rows += [row for row, _ in chunk]
        prepared = [inputs for _, inputs in chunk if inputs is not None]
        if prepared:
            vectors.append(params.embedder.vectors([inputs.embedded for inputs in prepared]).astype(np.float16))
            layouts += [_layouts(prepared)] if params.layout else []
            scores.append(_scores(prepared, params))
    measured = np.array([row["pixels_id"] is not None for row in rows], dtype=bool)
    table = pa.Table.from_pylist(rows, PLAIN)
    table = table.append_column("vector", _lists(vectors, measured, pa.float16()))
    table = table.append_column("layout", _lists(layouts, measured, pa.float16()))
    table = table.append_column("scores", _lists(scores if params.scorers else [], measured, pa.float32()))
    return table.select(MEASUREMENTS.schema.names)


def measure_files(files: Iterable[FileRead], params: MeasureParams) -> list[tuple[Measurement, Prepared | None]]:
    """Return a row without its lists of each file, and what models need; what cannot be decoded has an `error`."""
    measured = [_measure_file(data, rotation, params) for data, rotation in files]
    facts = iter(facts_of([small for _, small, _ in measured if small is not None]))
    return [(row if small is None else row | next(facts), prepared) for row, small, prepared in measured]


def _measure_file(
    data: bytes | UnreadableError, rotation: int | None, params: MeasureParams
) -> tuple[Measurement, Small | None, Prepared | None]:
    """Return what all pixels of a file tell, and what is left of them; nothing of what cannot be decoded."""
    if isinstance(data, UnreadableError):
        return EMPTY | {"error": str(data)}, None, None
    file = EMPTY | {"image_id": digest(data), "bytes": len(data)}
    try:
        decoded = decode(data, rotation)
    except UndecodableError as error:
        return file | {"error": str(error)}, None, None
    whole = decoded.picture
    inner = trimmed_picture(whole)
    height, width = whole.pixels.shape[:2]
    row = file | {
        "pixels_id": decoded.pixels_id(),
        "width": width,
        "height": height,
        "format": decoded.format,
        **signals(whole),
    }
    return row, small(whole, inner, params.hash), _prepared(whole, inner, params)


def _prepared(whole: Picture, inner: Picture, params: MeasureParams) -> Prepared:
    layout = DescriptorEmbedder().prepared(inner) if params.layout else NOTHING
    return Prepared(params.embedder.prepared(inner), layout, [scorer.prepared(whole) for scorer in params.scorers])


def _layouts(prepared: list[Prepared]) -> Array:
    return DescriptorEmbedder().vectors([inputs.layout for inputs in prepared]).astype(np.float16)


def _scores(prepared: list[Prepared], params: MeasureParams) -> Array:
    """Return one column for each scorer [n, scorers]."""
    columns = [scorer.scores([inputs.scored[i] for inputs in prepared]) for i, scorer in enumerate(params.scorers)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(prepared), 0), np.float32)


def _lists(chunks: list[Array], measured: Array, kind: pa.DataType) -> pa.ListArray:
    """Return the rows of the chunks as lists in the places that are `measured`, and nulls elsewhere."""
    measured = measured if chunks else np.zeros_like(measured)
    values = np.concatenate(chunks) if chunks else np.zeros((0, 0), kind.to_pandas_dtype())
    ends = np.concatenate([[0], np.cumsum(measured)]) * values.shape[1]
    return pa.ListArray.from_arrays(
        pa.array(ends, pa.int32()), pa.array(values.ravel(), kind), mask=pa.array(~measured)
    )
