"""Everything that one decode of an image tells, as one row of measurements."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from curation.arrays import Array
from curation.dedup.geometry.frame import trimmed_picture
from curation.embedders.descriptor import DescriptorEmbedder
from curation.measure.contents import Contents, FileRead, Identified, Standing, identified
from curation.measure.decoders import each
from curation.measure.quality_signals import signals
from curation.measure.small import Small, facts_of, small
from curation.params import MeasureParams
from curation.sources.outages import unchanged
from curation.sources.reading import read_bytes
from shared.catalog import MEASUREMENTS
from shared.errors import UnreadableError
from shared.images.decode import UndecodableError, decode
from shared.images.picture import Picture

CHUNK = 64
"""So many images go through the models together; of each only its small prepared pixels wait for the others."""

LISTS = ("vector", "layout", "scores")
PLAIN = pa.schema([field for field in MEASUREMENTS.schema if field.name not in LISTS])
EMPTY: dict[str, Any] = dict.fromkeys(PLAIN.names)

Measurement = dict[str, Any]
NOTHING: Array = np.zeros(0, np.float32)


class Prepared(NamedTuple):
    """What models need of an image: small, so that many fit in memory where their images do not."""

    embedded: Array
    layout: Array
    """What `descriptor` needs, where it stands beside the embedder."""
    scored: list[Array]
    """What each scorer needs."""


class Outcome(NamedTuple):
    """What came of a file."""

    row: Measurement | None
    """A row of MEASUREMENTS without its lists; None where it is remembered."""
    prepared: Prepared | None = None
    """None where nothing was decoded."""
    standing: Standing = Standing()


def measure_images(images: pa.Table, params: MeasureParams) -> pa.Table:
    """Return MEASUREMENTS of the images, one decode each, in their order.

    Raises FilesChangedError for files that are not as they were listed: nothing is measured of them.
    """
    return measure_unless_known(images, [b""] * images.num_rows, params, None)[0]


def measure_unless_known(
    images: pa.Table, keys: Sequence[bytes], params: MeasureParams, contents: Contents | None
) -> tuple[pa.Table, list[Standing]]:
    """Return MEASUREMENTS of the images whose contents are not known, in order, and for all where theirs stand.

    `keys` are those under which measurements were looked up in vain. Raises FilesChangedError.
    """
    data = unchanged(images, read_bytes(images))
    files = (FileRead(*each) for each in zip(data, images["rotation"].to_pylist(), keys, strict=True))
    rows, standings = list[Measurement](), list[Standing]()
    vectors, layouts, scores = [], [], []
    measurements = each(partial(measure_files, params=params, contents=contents), files)
    while chunk := list(islice(measurements, CHUNK)):
        rows += [one.row for one in chunk if one.row is not None]
        standings += [one.standing for one in chunk]
        prepared = [one.prepared for one in chunk if one.prepared is not None]
        if prepared:
            vectors.append(params.embedder.vectors([inputs.embedded for inputs in prepared]).astype(np.float16))
            layouts += [_layouts(prepared)] if params.layout else []
            scores.append(_scores(prepared, params))
    measured = np.array([row["pixels_id"] is not None for row in rows], dtype=bool)
    table = pa.Table.from_pylist(rows, PLAIN)
    table = table.append_column("vector", _lists(vectors, measured, pa.float16()))
    table = table.append_column("layout", _lists(layouts, measured, pa.float16()))
    table = table.append_column("scores", _lists(scores if params.scorers else [], measured, pa.float32()))
    return table.select(MEASUREMENTS.schema.names), standings


def measure_files(files: Iterable[FileRead], params: MeasureParams, contents: Contents | None = None) -> list[Outcome]:
    """Return what comes of each file; what cannot be decoded has an `error`, and of a known content nothing is."""
    measured = [_measure_file(file, params) for file in identified(files, contents)]
    facts = iter(facts_of([small for _, small in measured if small is not None]))
    return [one if small is None else one._replace(row=(one.row or {}) | next(facts)) for one, small in measured]


def _measure_file(identified: Identified, params: MeasureParams) -> tuple[Outcome, Small | None]:
    """Return what all pixels of a file tell, and what is left of them; nothing of what cannot be decoded."""
    file, image_id, standing = identified
    if standing.is_known:
        return Outcome(None, None, standing), None
    if isinstance(file.data, UnreadableError):
        return Outcome(EMPTY | {"error": str(file.data)}), None
    row = EMPTY | {"image_id": image_id, "bytes": len(file.data)}
    try:
        decoded = decode(file.data, file.rotation)
    except UndecodableError as error:
        return Outcome(row | {"error": str(error)}, None, standing), None
    whole = decoded.picture
    inner = trimmed_picture(whole)
    height, width = whole.pixels.shape[:2]
    row |= {
        "pixels_id": decoded.pixels_id(),
        "width": width,
        "height": height,
        "format": decoded.format,
        **signals(whole),
    }
    return Outcome(row, _prepared(whole, inner, params), standing), small(whole, inner, params.hash)


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
