"""Pairs of candidates, compared pixel by pixel: the only look at pixels between measuring and packing."""

import pyarrow as pa
from threadpoolctl import threadpool_limits

from curation.dedup.geometry.compare import OTHER, compared
from curation.dedup.geometry.features import LocalFeatures, describe
from curation.sources.outages import unchanged
from curation.sources.reading import UnreadableError, read_bytes
from shared.catalog import VERIFIED, WHERE
from shared.images.decode import UndecodableError, decode


def verify_pairs(candidates: pa.Table) -> pa.Table:
    """Return VERIFIED. Raises FilesChangedError for files that are not as they were listed.

    Every image of the part is described once, about 110 kB each, and read in the order of its file.
    """
    uris = zip(candidates["uri"].to_pylist(), candidates["other_uri"].to_pylist(), strict=True)
    with threadpool_limits(1, user_api="blas"):  # parts are spread over cores: more threads would wait for each other
        features = _described(candidates)
        pairs = [(features[one], features[other]) for one, other in uris]
        found = [OTHER if one is None or other is None else compared(one, other) for one, other in pairs]
    proposed = {name: candidates[name] for name in ("uri", "other_uri", "set", "distance")}
    scores, verdicts, orientations = zip(*found, strict=True) if found else ((), (), ())
    results = {
        "score": pa.array(scores, pa.float32()),
        "verdict": pa.array(verdicts, pa.string()),
        "orientation": pa.array(orientations, pa.string()),
    }
    return pa.table({**proposed, **results}).cast(VERIFIED.schema)


def _described(candidates: pa.Table) -> dict[str, LocalFeatures | None]:
    sides = [candidates.select([f"{side}{name}" for name in WHERE]).rename_columns(WHERE) for side in ("", "other_")]
    images = pa.concat_tables(sides).unify_dictionaries().sort_by([("path", "ascending"), ("offset", "ascending")])
    first = {uri: row for row, uri in reversed(list(enumerate(images["uri"].to_pylist())))}
    images = images.take(pa.array(sorted(first.values()), pa.int64()))
    data = unchanged(images, read_bytes(images))
    files = zip(images["uri"].to_pylist(), images["rotation"].to_pylist(), data, strict=True)
    return {uri: _features(content, rotation) for uri, rotation, content in files}


def _features(data: bytes | UnreadableError, rotation: int | None) -> LocalFeatures | None:
    if isinstance(data, UnreadableError):
        return None
    try:
        return describe(decode(data, rotation).image)
    except UndecodableError:
        return None
