"""Between the tables and the algorithms of deduplication: picks the candidates, and writes the matches."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.dedup import EXACT, Candidates, find_duplicates
from curation.near import VectorResemblance
from curation.params import DedupParams
from curation.perceptual import HashResemblance
from curation.star import Floats, Ints, Match, Resemblance
from shared.contracts import DUPLICATES, IMAGES, MEASUREMENTS, VERDICTS
from shared.tables import Rows, with_facts

COLUMNS = ["image_id", "pixels_id", "width", "height", "bytes", "phash", "detail"]


def match_tables(images: Rows, measurements: Rows, verdicts: Rows, params: DedupParams) -> pa.Table:
    """Return DUPLICATES: only decodable images that pass the quality rules are compared, or kept for a copy."""
    measured = measurements.table(MEASUREMENTS, COLUMNS)
    passed = pc.and_(pc.is_valid(measured["pixels_id"]), pc.is_null(verdicts.table(VERDICTS, ["reason"])["reason"]))
    rows = np.flatnonzero(passed.to_numpy(zero_copy_only=False))
    measured, places = measured.take(rows), images.places().take(rows)
    uris = images.table(IMAGES, ["uri"])["uri"].take(rows)
    candidates = Candidates(
        image_id=_objects(measured["image_id"]),
        pixels_id=_objects(measured["pixels_id"]),
        pixels=_ints(measured["width"]) * _ints(measured["height"]),
        bytes=_ints(measured["bytes"]),
        uri=_objects(uris),
    )
    trusted = measured["detail"].to_numpy() >= params.min_detail
    resemblances: list[Resemblance] = []
    if params.perceptual.enabled:
        hashes = np.frombuffer(b"".join(measured["phash"].to_pylist()), dtype=np.uint8).reshape(-1, 8)
        resemblances.append(HashResemblance(hashes, params.perceptual.distance, trusted))
    near = None
    if params.near.enabled:
        vectors = _vectors(measurements, rows, params.near.embedder.dim)
        turns = params.near.embedder.orientations()
        near = VectorResemblance(vectors, params.near.threshold, trusted & vectors.any(axis=1), turns)
        resemblances.append(near)
    matches = find_duplicates(candidates, resemblances)
    table = _table(matches, places, uris, params)
    facts = {"compared": len(rows), "near_recall": None if near is None else round(near.recall(), 4)}
    return with_facts(table, facts)


def _table(matches: dict[int, Match], places: pa.Table, uris: pa.ChunkedArray, params: DedupParams) -> pa.Table:
    items = np.array(sorted(matches), dtype=np.int64)
    found = [matches[int(item)] for item in items]
    limits = {"perceptual_duplicate": params.perceptual.distance, "near_duplicate": params.near.threshold, EXACT: 0.0}
    placed = places.take(items)
    return pa.table(
        {
            "part": placed["part"],
            "row": placed["row"],
            "reason": pa.array([m.reason for m in found], pa.string()).dictionary_encode(),
            # A Hamming distance walks as its negative, so that higher is more alike; it is told as it is.
            "value": pa.array([abs(m.score) for m in found], pa.float32()),
            "threshold": pa.array([limits[m.reason] for m in found], pa.float32()),
            "kept_uri": uris.take(pa.array([m.kept for m in found], pa.int64())),
        },
        schema=DUPLICATES.schema,
    )


def _vectors(measurements: Rows, rows: np.ndarray, dim: int) -> Floats:
    """Return the unit vectors [n, dim] of the given rows, read part by part."""
    vectors = np.zeros((len(rows), dim), dtype=np.float32)
    first = filled = 0
    for part in measurements.tables(["vector"]):
        column = part["vector"].combine_chunks()
        mine = rows[(rows >= first) & (rows < first + part.num_rows)] - first
        values = column.take(pa.array(mine)).values.to_numpy(zero_copy_only=False)
        vectors[filled : filled + len(mine)] = values.reshape(len(mine), dim)
        filled, first = filled + len(mine), first + part.num_rows
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    return np.array(column.to_pylist(), dtype=object)


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.to_numpy(), dtype=np.int64)
