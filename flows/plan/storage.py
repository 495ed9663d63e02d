"""What curation takes on the disk beside the images: bytes by the schemas of its tables and by the recipe."""

from dataclasses import dataclass

import pyarrow as pa

from curation.dedup.hash_pairs import COPIES
from curation.dedup.hash_tables import ORIENTATIONS, HashTables
from curation.dedup.ivf.task import NearSearch
from curation.dedup.pair_memo import SCHEMA as COMPARISON
from curation.embedders import Embedder
from curation.embedders.descriptor import DescriptorEmbedder
from flows.recipe.recipe import Recipe
from shared.catalog import CANDIDATES, DECISIONS, IMAGES, MEASUREMENTS, PACKED, VERDICTS, VERIFIED
from shared.stage_runner.memo_runs import KEY_BYTES

WIDTHS = {"descriptor": 1024, "efficientnet-lite0": 1280, "torchscript": 512}
"""Numbers of an embedder's vector, where its kind says so; of torchscript those of SSCD, which is recommended."""
OTHER_WIDTH = 1024
"""Assumed of any other: a ViT-L's."""
TEXT_BYTES, WORD_BYTES, OFFSET_BYTES = 8, 1, 4
"""Of a text in a table, compressed: paths have much in common, and most other texts are null. Of a word, compressed.
Of where a list begins."""
BUCKETS = 2.35
"""That a vector visits in each orientation: at ten million images of tests/benchmarks/scale/middle.md."""
VISIT_BYTES = 16 + 3 * 4 + 4 + 1
"""Of a row of a bucket beside its vector: id, bucket, home and visits, floor, role."""
HOME_BYTES = 16 + 4
"""Of a thumbnail at home in its bucket, beside it."""
ALIASES_BYTES = 2 * 2 * KEY_BYTES
"""Of what leads from an image's file, and from its content, to what is remembered of it."""
HASH_BYTES = 11.1
"""Of a hash in a sorted file with the place of its image, compressed: by tests/benchmarks/scale/hash_pairs.md."""


@dataclass(frozen=True)
class DiskBytes:
    """What curation needs beside the images and their shards."""

    tables: float
    """Of the outputs of all stages."""
    memory: float
    """What is remembered by the row, so that no image is decoded, and no pair compared, a second time."""
    scratch: float
    """At most, and only during the search for candidates."""


def disk_bytes(recipe: Recipe, images: float, pairs: float) -> DiskBytes:
    """Return the bytes for so many images with so many pairs of candidates an image."""
    measure = recipe.curation.measure
    lists = {"vector": width(measure.embedder), "layout": width(DescriptorEmbedder()) if measure.layout else 0}
    lists["scores"] = len(measure.scorers)
    measured = _row(MEASUREMENTS.schema, lists)
    others = sum(_row(table.schema, {}) for table in (IMAGES, VERDICTS, DECISIONS, PACKED))
    pair = sum(_row(table.schema, {}) for table in (CANDIDATES, VERIFIED))
    return DiskBytes(
        tables=images * (measured + others + pairs * pair),
        memory=images * (measured + KEY_BYTES + ALIASES_BYTES + pairs * (_row(COMPARISON, {}) + KEY_BYTES)),
        scratch=images * _scratch(recipe, images),
    )


def width(embedder: Embedder) -> int:
    """Return the numbers of a vector, without loading what makes it."""
    return WIDTHS.get(embedder.kind, OTHER_WIDTH)


def _scratch(recipe: Recipe, images: float) -> float:
    """Return the bytes of an image in the widest search."""
    return max(_hashes(recipe, images), _vectors(recipe, images))


def _hashes(recipe: Recipe, images: float) -> float:
    """Return the bytes of its hashes, as they are written at first and in the copies that are there at a time."""
    perceptual, count = recipe.curation.dedup.perceptual, round(images)
    if not perceptual.enabled:
        return 0.0
    by = HashTables.of(perceptual.distance, count, count)
    copies = min(COPIES, by.copies) if by.shared else 0
    return (1 + copies) * (ORIENTATIONS + 1) * HASH_BYTES


def _vectors(recipe: Recipe, images: float) -> float:
    """Return the bytes of its vector in each bucket that it visits, and of a thumbnail."""
    near = recipe.curation.dedup.near
    if not near.enabled or near.verify == "none":
        return 0.0
    embedders: list[Embedder] = [near.embedder, *([DescriptorEmbedder()] if near.layout else [])]
    buckets = max(1.0, images / NearSearch(0.0, near.nearest).sized(round(images)).bucket_rows)
    stored = (
        min(buckets, BUCKETS * (1 + len(one.orientations()))) * (2 * width(one) + VISIT_BYTES) for one in embedders
    )
    return max(stored) + _value(MEASUREMENTS.schema.field("thumbnail").type, 0) + HOME_BYTES


def _row(schema: pa.Schema, lists: dict[str, int]) -> float:
    """Return the bytes of a row; `lists` are the lengths of its lists."""
    return float(sum(_value(field.type, lists.get(field.name, 0)) for field in schema))


def _value(kind: pa.DataType, length: int) -> int:
    if pa.types.is_list(kind):
        return OFFSET_BYTES + int(kind.value_type.byte_width) * length
    if pa.types.is_dictionary(kind):
        return WORD_BYTES
    return TEXT_BYTES if pa.types.is_string(kind) else int(kind.byte_width)
