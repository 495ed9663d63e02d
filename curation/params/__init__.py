"""The parameters of every curation stage. The text under a field is its help in the command line and the form."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from curation.embedders import Embedder
from curation.embedders.descriptor import DescriptorEmbedder
from curation.models.files import runs_on_gpu
from curation.params.balance import BalanceParams
from curation.params.copies import DecontaminateParams, DedupParams
from curation.quality import DEFAULT_RULES, Rule, scorers_of
from curation.quality.scorer import Scorer
from curation.sources import Source
from shared.params import ExchangeParams, Params

HashKind = Literal["phash", "dhash", "ahash", "whash"]
"""A perceptual hash: of frequencies, of differences between neighbours, of levels, of wavelets."""


LAYOUT_BALANCE = (
    "warning: balance needs an embedder that sees what is in an image, got {}, which sees its layout: it halves about "
    "as chance does. Set curation.dedup.near.embedder, for example to efficientnet-lite0."
)


class IndexParams(Params):
    """What there is."""

    model_config = ConfigDict(title="Index")

    sources: tuple[Source, ...] = ()
    """The collections of images; each uri is indexed once."""
    part_images: int = Field(default=10_000, ge=16)
    """Images in a part, on average: the unit of work, of retry and of resume."""
    changed: dict[str, str] = Field(default_factory=dict)
    """Taken from the workspace: what files hold that changed under the same size and time, by uri."""


class MeasureParams(Params):
    """What one decode of an image tells."""

    model_config = ConfigDict(title="Measure")

    hash: HashKind = "phash"
    """Which of imagededup's hashes finds perceptual duplicates. Largest dedup.perceptual.distance without false copies
    on 340 known pairs of 18 kinds, and their share that it finds: phash 10, .88; dhash 8, .92; ahash 0, .66; whash 0,
    .69. At 6: .78 and .87 for phash and dhash; every second pair of ahash and whash is false (2: one in fifty)."""
    embedder: Embedder = DescriptorEmbedder()
    """Taken from curation.dedup.near.embedder: set it there."""
    scorers: tuple[Scorer, ...] = ()
    """Taken from curation.quality.rules: set it there."""
    layout: bool = False
    """Taken from curation.dedup.near.candidates.layout: set it there."""

    @property
    def on_gpu(self) -> bool:
        """Whether networks look at the images, on a GPU where there is one."""
        return self.embedder.on_gpu or any(runs_on_gpu(scorer.path) for scorer in self.scorers)


class QualityParams(Params):
    """Which images are too poor."""

    model_config = ConfigDict(title="Quality")

    rules: tuple[Rule, ...] = DEFAULT_RULES
    """Applied in order; the first that holds is the reason. [] = keep every image that decodes."""


class VerifyParams(Params):
    """Geometric verification has nothing to set: its threshold is applied by dedup, its measure is versioned."""

    model_config = ConfigDict(title="Verify")


class SelectParams(Params):
    """Kept or dropped."""

    model_config = ConfigDict(title="Select")


class PackParams(ExchangeParams):
    """How the kept images are laid out."""

    model_config = ConfigDict(title="Pack")

    shard_images: int = Field(default=8192, ge=16)
    """Images in a shard, at most; shards are filled by image id, so their order is already random."""
    exif: bool = False
    """Keep the EXIF of each image (camera, time, place, author) in the metadata of manifest and shards."""

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
    decontaminate: DecontaminateParams = DecontaminateParams()
    """Which evaluation sets must not be in the corpus."""
    balance: BalanceParams = BalanceParams()
    """Whether frequent kinds of images are thinned out."""
    verify: VerifyParams = VerifyParams()
    """Nothing to set."""
    select: SelectParams = SelectParams()
    """Kept or dropped."""
    pack: PackParams = PackParams()
    """How the kept images are laid out."""

    @model_validator(mode="after")
    def _one_place_for_what_stages_share(self) -> Self:
        self._take("measure", "embedder", self.dedup.near.embedder, "curation.dedup.near.embedder")
        self._take("measure", "scorers", scorers_of(self.quality.rules), "curation.quality.rules")
        self._take("measure", "layout", self.dedup.near.layout, "curation.dedup.near.candidates.layout")
        self._take("decontaminate", "dedup", self.dedup, "curation.dedup")
        return self

    def warnings(self) -> Iterator[str]:
        """Yield what is allowed and hardly meant."""
        if self.balance.enabled and self.dedup.near.embedder.sees_layout:
            yield LAYOUT_BALANCE.format(self.dedup.near.embedder.kind)

    def _take(self, stage: str, field: str, value: Params | tuple[Params, ...] | bool, source: str) -> None:
        params: Params = getattr(self, stage)
        if field in params.model_fields_set and getattr(params, field) != value:
            raise ValueError(f"set the {field} at {source}, not at curation.{stage}.{field}")
        object.__setattr__(self, stage, params.model_copy(update={field: value}))
