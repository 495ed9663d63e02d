"""The kept images nearest to one image, by embedding and by hash: parts of the stage cache, one after the other."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.publish.lineage import Lineage
from curation.publish.read_back import Original, originals
from flows.inspect.find_image import ImageRow
from flows.report.kit.reason_text import GEOMETRIC, Checks
from shared.dataset_version import Published
from shared.images.decode import UndecodableError, decode
from shared.tables import Rows, read_part

NEAREST = 5
HASH = 8
"""Bytes of a hash."""


def measurement(lineage: Lineage, image_id: str) -> pa.Table | None:
    """Return the measurements of an image, one row; None when they were deleted, or never made."""
    measurements = lineage.rows("measure")
    wanted = pa.scalar(bytes.fromhex(image_id), pa.binary(16))
    for part in measurements.output.parts if measurements else ():
        ids = read_part(lineage.store, "measure", part.name, columns=["image_id"])["image_id"]
        place = pc.index(ids, wanted).as_py()
        if place >= 0:
            return read_part(lineage.store, "measure", part.name).slice(place, 1)
    return None


def neighbours(lineage: Lineage, image: ImageRow) -> list[ImageRow] | None:
    """Return image id, cosine and hash distance of the nearest kept images; None when the cache was deleted.

    The nearest by either measure are in it, those with the higher cosine first.
    """
    tables = lineage.measured()
    if tables is None or image.get("vector") is None:
        return None
    vector = _unit(np.asarray([image["vector"]], dtype=np.float32))[0]
    best: list[ImageRow] = []
    for kept in _kept_parts(*tables, image["image_id"]):
        cosine = _vectors(kept) @ vector
        bits = _distances(kept, image)
        for place in {*np.argsort(-cosine)[:NEAREST].tolist(), *np.argsort(bits)[:NEAREST].tolist()}:
            row = kept.slice(place, 1).select(["image_id", "pixels_id"]).to_pylist()[0]
            best.append(row | {"cosine": float(cosine[place]), "bits": int(bits[place])})
    best.sort(key=lambda row: (-row["cosine"], row["image_id"]))
    nearest = best[:NEAREST] + sorted(best, key=lambda row: (row["bits"], -row["cosine"]))[:2]
    unique = {row["image_id"]: row for row in nearest}.values()
    return sorted(unique, key=lambda row: -row["cosine"])


def _kept_parts(measurements: Rows, decisions: Rows, image_id: bytes) -> Iterator[pa.Table]:
    """Yield the comparable kept images of each part, without the image itself."""
    schema = read_part(measurements.store, "measure", measurements.output.parts[0].name).schema
    columns = [name for name in ("image_id", "pixels_id", "phash", "hashes", "vector") if name in schema.names]
    for measured, decision in zip(measurements.tables(columns), decisions.tables(["reason"]), strict=True):
        kept = pc.and_(pc.is_valid(measured["vector"]), pc.is_null(decision["reason"]))
        part = measured.filter(pc.and_(kept, pc.not_equal(measured["image_id"], pa.scalar(image_id, pa.binary(16)))))
        if part.num_rows:
            yield part


def _vectors(part: pa.Table) -> np.ndarray:
    flat = pc.list_flatten(part["vector"]).combine_chunks().to_numpy(zero_copy_only=False)
    return _unit(flat.reshape(part.num_rows, -1).astype(np.float32))


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1))


def _distances(part: pa.Table, image: ImageRow) -> np.ndarray:
    """Return the hash distances, the image turned every way where its hashes are known."""
    column, hashes = ("hashes", image["hashes"]) if image.get("hashes") else ("phash", image["phash"])
    theirs = np.frombuffer(b"".join(part[column].to_pylist()), dtype=np.uint8).reshape(part.num_rows, -1)[:, :HASH]
    own = np.frombuffer(hashes, dtype=np.uint8).reshape(-1, HASH)
    counts = [np.bitwise_count(theirs ^ turned).sum(axis=1, dtype=np.int64) for turned in own]
    return np.asarray(np.min(counts, axis=0))


def resemblances(
    dataset: Published, lineage: Lineage, uri: str, near: list[ImageRow] | None, data: bytes | None = None
) -> None:
    """Add to each neighbour `match`, how much agrees, `verdict` on what differs, and the `orientation` of the match."""
    if not near or Checks.of(dataset.info.get("recipe", {})).verify != GEOMETRIC:
        return
    files = originals(dataset, lineage, [uri, *(row["uri"] for row in near)])
    if data is not None:
        files[uri] = Original(data)
    own = _features(files.get(uri))
    from curation.dedup.geometry.compare import compared

    for row in near:
        other = _features(files.get(row["uri"]))
        comparison = compared(own, other) if own and other else None
        names = {"match": "score", "verdict": "verdict", "orientation": "orientation"}
        row |= {name: getattr(comparison, field, None) for name, field in names.items()}


def _features(original: Original | None):  # type: ignore[no-untyped-def]
    from curation.dedup.geometry.features import describe

    try:
        return describe(decode(original.data, original.rotation).picture) if original else None
    except UndecodableError:
        return None
