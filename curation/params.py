"""The parameters of every curation stage. The text under a field is its help in the command line and the form."""

import itertools
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from curation.embedders import Embedder
from curation.embedders.descriptor import DescriptorEmbedder
from curation.rules import DEFAULT_RULES, Rule, scorers_of
from curation.rules.scorer import Scorer
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
    scorers: tuple[Scorer, ...] = ()
    """Taken from curation.quality.rules: set it there."""
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


class CandidateParams(Params):
    """Which pairs are worth a geometric comparison."""

    model_config = ConfigDict(title="Candidates")

    nearest: int = Field(default=10, ge=1, le=100)
    """So many of an image's nearest others are compared with it, at most."""
    cosine: float | None = Field(default=None, ge=-1, le=1)
    """Smallest cosine of a candidate; the embedder's own by default. Lower finds more, and costs more."""


class NearParams(Params):
    """Copies, or look-alikes, by embedding."""

    model_config = ConfigDict(title="Near duplicates")

    enabled: bool = True
    """Compare images by the cosine of their embeddings."""
    embedder: Embedder = DescriptorEmbedder()
    """What turns pixels into a vector."""
    verify: Literal["geometric", "none"] = "geometric"
    """geometric = copies: candidates are compared pixel by pixel. none = look-alikes: the cosine alone decides."""
    threshold: float | None = Field(default=None, gt=0, le=1.15)
    """geometric: smallest score of a copy, 1 by default and 1.18 at most. none: smallest cosine, the embedder's own by default."""
    candidates: CandidateParams = CandidateParams()
    """Which pairs are compared geometrically."""

    @model_validator(mode="after")
    def _a_cosine_is_at_most_one(self) -> Self:
        if self.verify == "none" and self.limit > 1:
            raise ValueError(f"threshold is a cosine when verify is none: at most 1, got {self.threshold}")
        return self

    @property
    def limit(self) -> float:
        """The threshold in force."""
        default = 1.0 if self.verify == "geometric" else self.embedder.copy_cosine
        return default if self.threshold is None else self.threshold

    @property
    def candidate_cosine(self) -> float:
        """The smallest cosine of a candidate in force."""
        own = self.candidates.cosine
        return self.embedder.candidate_cosine if own is None else own


class DedupParams(Params):
    """Which images are copies of others. Byte-identical and pixel-identical images are always found."""

    model_config = ConfigDict(title="Dedup")

    perceptual: PerceptualParams = PerceptualParams()
    """Copies by perceptual hash."""
    near: NearParams = NearParams()
    """Copies by embedding."""
    min_detail: float = Field(default=3.0, ge=0)
    """Images with less detail than this (gray levels) are compared for equality only: blanks and gradients collide."""


class VerifyParams(Params):
    """Geometric verification has nothing to set: its threshold is applied by dedup, its measure is versioned."""

    model_config = ConfigDict(title="Verify")


class EvaluationSet(Params):
    """Images that a model will be judged by, and that it must therefore not be trained on."""

    model_config = ConfigDict(title="Evaluation set")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """Name of the set, for its counts and its evidence."""
    source: Source
    """Where its images are; give train and test splits each as a set."""
    threshold: float | None = Field(default=None, gt=0)
    """Smallest geometric score (or cosine, when dedup.near.verify is none) of a contaminated image.
    Lower is stricter; by default the threshold of dedup.near."""
    distance: int | None = Field(default=None, ge=0, le=32)
    """Largest Hamming distance to an evaluation image; by default that of dedup.perceptual."""
    cap: float = Field(default=0.1, gt=0, le=1)
    """Refuse to drop more than this share of the corpus for this set: so many are a mistake, not contamination."""


class DecontaminateParams(Params):
    """Which evaluation sets must not be in the corpus."""

    model_config = ConfigDict(title="Decontaminate")

    sets: tuple[EvaluationSet, ...] = ()
    """Every evaluation set; an image of the corpus that resembles one of theirs is dropped."""
    dedup: DedupParams = DedupParams()
    """Taken from curation.dedup: set it there."""

    @property
    def idle(self) -> bool:
        """Without sets there is nothing to do."""
        return not self.sets

    @model_validator(mode="after")
    def _each_set_once(self) -> Self:
        names = [one.name for one in self.sets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"evaluation sets need different names, got {twice} twice")
        return self


class BalanceParams(Params):
    """Whether frequent kinds of images are thinned out.

    What counts as a kind is what the embedder sees: choose a trained one. The descriptor sees layout, not content.
    """

    model_config = ConfigDict(title="Balance")

    enabled: bool = False
    """Cluster the images that are left by hierarchical k-means, and sample evenly over the clusters."""
    target: float = Field(default=0.5, gt=0)
    """Images to keep: up to 1 a share of those that are left, above 1 their number."""
    levels: tuple[int, ...] = ()
    """Clusters on each level, the finest first; [] = one for 50 images, at most 10,000, then a tenth, down to ten."""
    iterations: int = Field(default=20, ge=1)
    """Iterations of k-means in every fit."""
    rounds: int = Field(default=3, ge=0)
    """Times that each level is fitted again on the images closest to its centroids."""
    points: int = Field(default=0, ge=0)
    """So many of the closest images in such a round; 0 = half the mean size of a cluster, at most 16."""
    pick: Literal["random", "closest"] = "random"
    """Which images of a cluster are taken."""
    seed: int = 0
    """Decides every choice that is left to chance."""

    @model_validator(mode="after")
    def _levels_fall(self) -> Self:
        if any(coarse >= fine for fine, coarse in itertools.pairwise(self.levels)) or min(self.levels, default=1) < 1:
            raise ValueError(f"levels are numbers of clusters, each smaller than the one before, got {self.levels}")
        return self

    def images(self, left: int) -> int:
        """Return how many of the images that are left are kept."""
        return min(left, round(self.target * left if self.target <= 1 else self.target))

    @property
    def idle(self) -> bool:
        """Off by default."""
        return not self.enabled


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
        self._take("decontaminate", "dedup", self.dedup, "curation.dedup")
        return self

    def _take(self, stage: str, field: str, value: Params | tuple[Params, ...], source: str) -> None:
        params: Params = getattr(self, stage)
        if field in params.model_fields_set and getattr(params, field) != value:
            raise ValueError(f"set the {field} at {source}, not at curation.{stage}.{field}")
        object.__setattr__(self, stage, params.model_copy(update={field: value}))
