"""Pairs of candidates, compared pixel by pixel: the only look at pixels between measuring and packing."""

from collections import OrderedDict
from contextlib import suppress

import pyarrow as pa
from threadpoolctl import threadpool_limits

from curation.dedup.geometry.compare import OTHER, Comparison, compared
from curation.dedup.geometry.features import LocalFeatures, describe
from curation.dedup.pair_memo import PairMemo, as_columns, quantised
from curation.sources.outages import FilesChangedError, unchanged
from curation.sources.reading import UnreadableError, read_bytes
from shared.catalog import VERIFIED, WHERE
from shared.images.decode import UndecodableError, decode
from shared.images.ids import digest
from shared.stage_runner import RowMemory

RECENT = 2000
"""Images whose description a process keeps for its next part, in at most 390 MB: neighbours stand in several parts. Of
3,624 images in 11 parts 6,166 were described with half of these kept, 4,361 are."""
_RECENT: OrderedDict[bytes, LocalFeatures] = OrderedDict()
"""By the digest of their pixels, the last one last: what is described depends on nothing else."""


def verify_pairs(candidates: pa.Table, memory: RowMemory) -> pa.Table:
    """Return VERIFIED. Raises FilesChangedError for files that are not as they were listed and measured.

    Of a pair that is remembered no pixel is read. Every other image of the part is described once, in about 70 kB, 80
    more where its windows are compared, and read in the order of its file; not where this process described it for
    another part before.
    """
    memo = PairMemo.of(candidates, memory)
    comparisons = memo.lookup()
    left = [row for row in range(candidates.num_rows) if row not in comparisons]
    new, unreadable = _compared(candidates.take(pa.array(left, pa.int64())))
    memo.append({left[row]: each for row, each in new.items()})
    comparisons |= {left[row]: each for row, each in (new | dict.fromkeys(unreadable, OTHER)).items()}
    proposed = {name: candidates[name] for name in ("uri", "other_uri", "set", "distance")}
    results = as_columns([comparisons[row] for row in range(candidates.num_rows)])
    return pa.table({**proposed, **results}).cast(VERIFIED.schema)


def _compared(candidates: pa.Table) -> tuple[dict[int, Comparison], list[int]]:
    """Return, by row, what pairs are to each other, and the rows with an image that cannot be read any more."""
    uris = zip(candidates["uri"].to_pylist(), candidates["other_uri"].to_pylist(), strict=True)
    comparisons, unreadable = {}, []
    with threadpool_limits(1, user_api="blas"):  # parts are spread over cores: more threads would wait for each other
        features = _described(candidates)
        for row, (one, other) in enumerate((features[one], features[other]) for one, other in uris):
            if one is None or other is None:
                unreadable.append(row)
            else:
                comparisons[row] = quantised(compared(one, other))
    return comparisons, unreadable


def _described(candidates: pa.Table) -> dict[str, LocalFeatures | None]:
    """Return the description of each image by its uri; None for one that cannot be read any more.

    Of several files with the same pixels the first that can be read is.
    """
    names = [*WHERE, "image_id", "pixels_id"]
    sides = [candidates.select([f"{side}{name}" for name in names]).rename_columns(names) for side in ("", "other_")]
    images = pa.concat_tables(sides).unify_dictionaries().sort_by([("path", "ascending"), ("offset", "ascending")])
    pixels, rows = dict[str, bytes](), dict[bytes, list[int]]()
    for row, (uri, content) in enumerate(zip(images["uri"].to_pylist(), images["pixels_id"].to_pylist(), strict=True)):
        if uri not in pixels:
            rows.setdefault(content, []).append(row)
        pixels[uri] = content
    known = {content: _RECENT[content] for content in rows if content in _RECENT}
    while left := {content: some for content, some in rows.items() if some and content not in known}:
        known |= _read(images.take(pa.array(sorted(some.pop(0) for some in left.values()), pa.int64())))
    _keep(known)
    return {uri: known.get(content) for uri, content in pixels.items()}


def _read(images: pa.Table) -> dict[bytes, LocalFeatures]:
    """Return the description of each image that can be read, by the digest of its pixels.

    Raises FilesChangedError for files that are not as they were listed, or hold other bytes than were measured.
    """
    columns = (images[name].to_pylist() for name in ("uri", "image_id", "pixels_id", "rotation"))
    described, changed = dict[bytes, LocalFeatures](), dict[str, str]()
    for uri, measured, pixels, rotation, data in zip(*columns, unchanged(images, read_bytes(images)), strict=True):
        if isinstance(data, UnreadableError):
            continue
        if (now := digest(data)) != measured:
            changed[uri] = now.hex()
            continue
        with suppress(UndecodableError):
            described[pixels] = describe(decode(data, rotation).picture)
    if changed:
        raise FilesChangedError(changed)
    return described


def _keep(features: dict[bytes, LocalFeatures]) -> None:
    for pixels in features:
        _RECENT.pop(pixels, None)
    _RECENT.update(features)
    while len(_RECENT) > RECENT:
        _RECENT.popitem(last=False)
