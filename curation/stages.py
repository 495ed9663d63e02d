"""The stages of curation, in order: index, measure, quality, dedup, select, pack. A table of contents.

What a stage works with is imported when it works, so that the command line can teach in a moment.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from curation.params import DedupParams, IndexParams, MeasureParams, PackParams, QualityParams, SelectParams
from shared.contracts import DECISIONS, DUPLICATES, IMAGES, MANIFEST, MEASUREMENTS, VERDICTS
from shared.stage import stage

if TYPE_CHECKING:
    from pyarrow import Table

    from shared.run import Files
    from shared.tables import Rows


@stage(writes=IMAGES, shape="reduce", looks_outside=True)
def index(*, params: IndexParams) -> "Iterator[Table]":
    """List the images of every source, without reading one."""
    from curation.indexing import list_sources

    return list_sources(params)


@stage(reads=(IMAGES,), writes=MEASUREMENTS)
def measure(images: "Table", *, params: MeasureParams) -> "Table":
    """Read and decode every image once: digest, size, perceptual hash, quality signals, embedding."""
    from curation.measuring import measure_images

    return measure_images(images, params.embedder)


@stage(reads=(MEASUREMENTS,), writes=VERDICTS)
def quality(measurements: "Table", *, params: QualityParams) -> "Table":
    """Judge every image by its own signals; a new threshold costs seconds and reads no pixel."""
    from curation.judging import judge

    return judge(measurements, params.rules)


@stage(reads=(IMAGES, MEASUREMENTS, VERDICTS), writes=DUPLICATES, shape="reduce")
def dedup(images: "Rows", measurements: "Rows", verdicts: "Rows", *, params: DedupParams) -> "Table":
    """Find images that are copies of a kept one: equal bytes, equal pixels, close hash, close embedding."""
    from curation.matching import match_tables

    return match_tables(images, measurements, verdicts, params)


@stage(reads=(IMAGES, MEASUREMENTS, VERDICTS, DUPLICATES), writes=DECISIONS)
def select(
    images: "Table", measurements: "Table", verdicts: "Table", duplicates: "Table", *, params: SelectParams
) -> "Table":
    """Decide for every image: kept, or dropped for the first reason that holds."""
    from curation.deciding import decide

    return decide(measurements, verdicts, duplicates)


def rows_to_pack(images: "Table", measurements: "Table", decisions: "Table", *, params: PackParams) -> "Table":
    """Send every image to the shard that its id falls into."""
    from curation.deciding import keyed_rows

    return keyed_rows(images, measurements, decisions)


@stage(reads=(IMAGES, MEASUREMENTS, DECISIONS), writes=MANIFEST, shape="exchange", scatter=rows_to_pack)
def pack(rows: "Table", *, params: PackParams, files: "Files", number: int) -> "Table":
    """Write the kept images into tar shards, original bytes, and list the dropped ones beside them."""
    from curation.buckets import pack_bucket

    return pack_bucket(rows, files, number)


STAGES = (index, measure, quality, dedup, select, pack)
