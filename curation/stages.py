"""The stages of curation, from the listing to the shards. A table of contents.

What a stage works with is imported when it works, so that the command line can teach in a moment.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from curation.params import IndexParams, MeasureParams, PackParams, QualityParams, SelectParams, VerifyParams, reads
from curation.params.balance import BalanceParams
from curation.params.copies import DecontaminateParams, DedupParams
from shared.catalog import (
    CANDIDATES,
    CONTAMINATED,
    DECISIONS,
    DUPLICATES,
    IMAGES,
    MEASUREMENTS,
    PACKED,
    REFERENCE_MEASUREMENTS,
    REFERENCES,
    SAMPLES,
    VERDICTS,
    VERIFIED,
)
from shared.params import Resources
from shared.stage import stage

if TYPE_CHECKING:
    from pyarrow import Table

    from shared.stage_runner import Rounds, RowMemory, SideFiles
    from shared.tables import Rows


@stage(writes=IMAGES, shape="reduce", looks_outside=True, version=2)
def index(*, params: IndexParams) -> "Iterator[Table | dict[str, Any]]":
    """List the images of every source, without reading one."""
    from curation.index import list_sources

    return list_sources(params)


def installed_decoders(_: MeasureParams) -> dict[str, list[str]]:
    """Images that only an extra can decode are measured again once it is installed."""
    from shared.images.foreign import decoders

    found = decoders()
    return {"decoders": found} if found else {}


def measuring(params: MeasureParams) -> Resources:
    """Networks go to GPUs, where there are some: one process for each."""
    return Resources(gpu=params.on_gpu, memory=1)


@stage(reads=reads.MEASURE, writes=MEASUREMENTS, version=8, content=installed_decoders, needs=measuring, remembers=True)
def measure(images: "Table", *, params: MeasureParams, memory: "RowMemory") -> "Table":
    """Read and decode every image once: digest, size, perceptual hash, quality signals, embedding."""
    from curation.measure.remembered import measure_new_images

    return measure_new_images(images, params, memory)


@stage(writes=REFERENCES, shape="reduce", looks_outside=True, version=4, key="curation.decontaminate")
def references(*, params: DecontaminateParams) -> "Iterator[Table | dict[str, Any]]":
    """List the images of the evaluation sets."""
    from curation.index import list_sets

    return list_sets(params)


@stage(
    reads=reads.MEASURE_REFERENCES,
    writes=REFERENCE_MEASUREMENTS,
    version=8,
    key="curation.measure",
    content=installed_decoders,
    needs=measuring,
    remembers=True,
)
def measure_references(references: "Table", *, params: MeasureParams, memory: "RowMemory") -> "Table":
    """Read and decode every evaluation image once, just as the images of the corpus."""
    from curation.measure.remembered import measure_new_images

    return measure_new_images(references, params, memory)


@stage(reads=reads.QUALITY, writes=VERDICTS, version=2)
def quality(measurements: "Table", *, params: QualityParams) -> "Table":
    """Judge every image by its own signals; a new threshold costs seconds and reads no pixel."""
    from curation.quality.apply import judge

    return judge(measurements, params.rules)


@stage(reads=reads.PROPOSE, writes=CANDIDATES, shape="rounds", version=6, key="curation.dedup")
def candidates(
    images: "Rows",
    measurements: "Rows",
    verdicts: "Rows",
    references: "Rows",
    reference_measurements: "Rows",
    *,
    params: DedupParams,
    rounds: "Rounds",
) -> "Iterator[Table | dict[str, Any]]":
    """Find the pairs of images that are worth a comparison of pixels, by their hashes and embeddings."""
    from curation.dedup.candidates import pair_tables

    return pair_tables((images, measurements, verdicts), (references, reference_measurements), params, rounds)


@stage(reads=reads.VERIFY, writes=VERIFIED, version=9, unit="pairs", remembers=True)
def verify(candidates: "Table", *, params: VerifyParams, memory: "RowMemory") -> "Table":
    """Compare the pixels of each pair of candidates: one image, or two that look alike?"""
    from curation.dedup.verify import verify_pairs

    return verify_pairs(candidates, memory)


@stage(reads=reads.DECONTAMINATE, writes=CONTAMINATED, shape="reduce", version=5)
def decontaminate(
    images: "Rows",
    measurements: "Rows",
    verdicts: "Rows",
    references: "Rows",
    reference_measurements: "Rows",
    verified: "Rows",
    *,
    params: DecontaminateParams,
) -> "Table":
    """Find images that resemble one of an evaluation set: the corpus must do without them."""
    from curation.dedup.decontaminate import contaminated_tables

    return contaminated_tables((images, measurements, verdicts), (references, reference_measurements), verified, params)


@stage(reads=reads.DEDUP, writes=DUPLICATES, shape="rounds", version=5)
def dedup(
    images: "Rows",
    measurements: "Rows",
    verdicts: "Rows",
    verified: "Rows",
    contaminated: "Rows",
    *,
    params: DedupParams,
    rounds: "Rounds",
) -> "Table":
    """Find images that are copies of a kept one: equal bytes, equal pixels, or pixels that agree."""
    from curation.dedup.dedup import match_tables

    return match_tables((images, measurements, verdicts), verified, contaminated, params, rounds)


@stage(reads=reads.BALANCE, writes=SAMPLES, shape="reduce", version=2)
def balance(
    images: "Rows",
    measurements: "Rows",
    verdicts: "Rows",
    contaminated: "Rows",
    duplicates: "Rows",
    *,
    params: BalanceParams,
) -> "Table":
    """Thin out what is frequent among the images that are left, or weight it down; off by default."""
    from curation.balance.balance import sample_tables

    return sample_tables((images, measurements, verdicts), contaminated, duplicates, params)


@stage(reads=reads.SELECT, writes=DECISIONS, version=3)
def select(
    measurements: "Table",
    verdicts: "Table",
    contaminated: "Table",
    duplicates: "Table",
    samples: "Table",
    *,
    params: SelectParams,
) -> "Table":
    """Decide for every image: kept, or dropped for the first reason that holds."""
    from curation.publish.select import decide

    return decide(measurements, verdicts, duplicates, contaminated, samples)


def rows_to_pack(images: "Table", measurements: "Table", decisions: "Table", *, params: PackParams) -> "Table":
    """Send every image to the shard that its id falls into."""
    from curation.publish.select import keyed_rows

    return keyed_rows(images, measurements, decisions)


@stage(reads=reads.PACK, writes=PACKED, shape="exchange", version=5, scatter=rows_to_pack)
def pack(rows: "Table", *, params: PackParams, files: "SideFiles", number: int) -> "Table":
    """Put the images to publish in the order of their ids, the dropped ones beside them; alone it also publishes."""
    from curation.publish.pack import pack_bucket

    return pack_bucket(rows, files, params.exif)


STAGES = (
    index,
    references,
    measure,
    measure_references,
    quality,
    candidates,
    verify,
    decontaminate,
    dedup,
    balance,
    select,
    pack,
)
