"""The parameters of every curation stage. The text under a field is its help in the command line and the form."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from curation.embedders import Embedder
from curation.embedders.descriptor import DescriptorEmbedder
from curation.rules import DEFAULT_RULES, Rule
from curation.sources import Source
from shared.params import ExchangeParams, Params


class IndexParams(Params):
    """What there is."""

    model_config = ConfigDict(title="Index")

    sources: tuple[Source, ...] = ()
    """The collections of images; each uri is indexed once."""
    part_images: int = Field(default=10_000, ge=16)
    """Images in a part, on average: the unit of work, of retry and of resume."""


class MeasureParams(Params):
    """What one decode of an image tells."""

    model_config = ConfigDict(title="Measure")

    embedder: Embedder = DescriptorEmbedder()
    """Taken from curation.dedup.near.embedder: set it there."""
    decode_version: Literal[1] = 1
    """Version of the decoder (shared/images.py): hashes of different decoders are not compared."""


class QualityParams(Params):
    """Which images are too poor."""

    model_config = ConfigDict(title="Quality")

    rules: tuple[Rule, ...] = DEFAULT_RULES
    """Applied in order; the first that holds is the reason. [] = keep every image that decodes."""


class PerceptualParams(Params):
    """Copies by perceptual hash."""

    model_config = ConfigDict(title="Perceptual duplicates")

    enabled: bool = True
    """Compare images by their 64-bit PHash."""
    distance: int = Field(default=6, ge=0, le=32)
    """Largest Hamming distance between two copies, in bits of 64."""


class NearParams(Params):
    """Copies, or look-alikes, by embedding."""

    model_config = ConfigDict(title="Near duplicates")

    enabled: bool = True
    """Compare images by the cosine of their embeddings."""
    embedder: Embedder = DescriptorEmbedder()
    """What turns pixels into a vector."""
    threshold: float = Field(default=0.985, gt=0, le=1)
    """Smallest cosine between two near-duplicates; belongs to the embedder."""
    verify: Literal["none"] = "none"
    """How candidates are verified: none = the cosine decides."""


class DedupParams(Params):
    """Which images are copies of others. Byte-identical and pixel-identical images are always found."""

    model_config = ConfigDict(title="Dedup")

    perceptual: PerceptualParams = PerceptualParams()
    """Copies by perceptual hash."""
    near: NearParams = NearParams()
    """Copies by embedding."""
    min_detail: float = Field(default=3.0, ge=0)
    """Images with less detail than this (gray levels) are compared for equality only: blanks and gradients collide."""


class SelectParams(Params):
    """Kept or dropped."""

    model_config = ConfigDict(title="Select")


class PackParams(ExchangeParams):
    """How the kept images are laid out."""

    model_config = ConfigDict(title="Pack")

    shard_images: int = Field(default=8192, ge=16)
    """Images in a shard, at most on average; shards are filled by image id, so their order is already random."""

    @property
    def bucket_rows(self) -> int:
        """A bucket becomes a shard."""
        return self.shard_images


class CurationParams(Params):
    """From raw collections to a published dataset."""

    model_config = ConfigDict(title="Curation")

    index: IndexParams = IndexParams()
    """What there is; its sources are the recipe's."""
    measure: MeasureParams = MeasureParams()
    """What one decode of an image tells."""
    quality: QualityParams = QualityParams()
    """Which images are too poor."""
    dedup: DedupParams = DedupParams()
    """Which images are copies of others."""
    select: SelectParams = SelectParams()
    """Kept or dropped."""
    pack: PackParams = PackParams()
    """How the kept images are laid out."""

    @model_validator(mode="after")
    def _measure_with_the_embedder_of_near(self) -> Self:
        embedder = self.dedup.near.embedder
        if "embedder" in self.measure.model_fields_set and self.measure.embedder != embedder:
            raise ValueError("set the embedder at curation.dedup.near.embedder, not at curation.measure.embedder")
        object.__setattr__(self, "measure", self.measure.model_copy(update={"embedder": embedder}))
        return self
