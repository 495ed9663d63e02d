"""Which images are copies, of others or of evaluation images: the parameters of dedup and decontaminate."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from curation.embedders import Embedder
from curation.embedders.descriptor import DescriptorEmbedder
from curation.sources import Source
from shared.params import Params

Keep = Literal[
    "pixels", "-pixels", "bytes", "-bytes", "source", "-source", "sharpness", "-sharpness",
    "entropy", "-entropy", "detail", "-detail", "aspect", "-aspect",
]  # fmt: skip
"""A column of the measurements that tells the better copy."""


AllowedOrientations = Literal["none", "mirrored", "all"]


class PerceptualParams(Params):
    """Copies that a perceptual hash proposes. A close hash is no verdict: the pixels of each pair are compared."""

    model_config = ConfigDict(title="Perceptual duplicates")

    enabled: bool = True
    """Propose pairs by a hash of 64 bits; curation.measure.hash says which. Copies are dropped as
    perceptual_duplicate."""
    distance: int = Field(default=10, ge=0, le=32)
    """Largest Hamming distance of a pair that is worth a comparison of pixels, in bits of 64."""


class CandidateParams(Params):
    """Which pairs are worth a geometric comparison."""

    model_config = ConfigDict(title="Candidates")

    nearest: int | None = Field(default=None, ge=1, le=100)
    """So many of an image's nearest others in each embedding are compared with it, at most; by default 10 where
    there is one embedding, and 5 where there are two."""
    cosine: float | None = Field(default=None, ge=-1, le=1)
    """Smallest cosine of a candidate; the embedder's own by default. Lower finds more, and costs more."""
    recall: float = Field(default=0.99, gt=0, le=1)
    """Of an image's true nearest others so many must be found. It is measured in every run, on a sample that is
    compared with all; more buckets are searched until it holds."""
    below_recall: Literal["say", "fail"] = "say"
    """What to do where it cannot be reached: say so and go on, or fail."""
    layout: bool = True
    """Beside another embedder, also compare what is nearest by the descriptor, which sees turned and recoloured
    copies that networks miss, as networks see crops that it misses. Measuring it takes 0.4 ms and 2 kB an image; the
    search comes on top: with the descriptor alone all of candidates, hashes too, took 2.2 ms on 9,144 photographs."""


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
    """geometric: smallest score of a copy, 1 by default; none scores above 1.18. Below 1, pairs that were too unlike
    to look at what differs count as well. none: smallest cosine, the embedder's own by default."""
    same_scene: Literal["keep", "drop"] = "keep"
    """Frames of a burst or of a fixed camera, and one photograph under two captions: most of it agrees, but something
    in it is another. drop = they count as copies."""
    candidates: CandidateParams = CandidateParams()
    """Which pairs are compared geometrically; recall and below_recall also hold where the cosine alone decides."""

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

    @property
    def nearest(self) -> int:
        """The number of candidates in force."""
        return self.candidates.nearest or (5 if self.layout else 10)

    @property
    def layout(self) -> bool:
        """Whether images are described twice: by the embedder, and by the descriptor."""
        twice = self.candidates.layout and not self.embedder.sees_layout
        return self.enabled and self.verify == "geometric" and twice


class DedupParams(Params):
    """Which images are copies of others. Byte-identical and pixel-identical images are always found."""

    model_config = ConfigDict(title="Dedup")

    perceptual: PerceptualParams = PerceptualParams()
    """Copies by perceptual hash."""
    near: NearParams = NearParams()
    """Copies by embedding."""
    orientations: AllowedOrientations = "all"
    """Which turns a copy may have: none, mirrored left to right, or all eight. Photographs are mirrored and turned when
    they are uploaded again, and no two are each other's mirror image by chance, so all is the default. Signs, letters,
    flags and other plain pictures may be: those are copies only upright, whatever is set here. Choose none where
    photographs mirror each other by design, as left and right hands or lungs do."""
    keep: tuple[Keep, ...] = ("-pixels", "-bytes")
    """Which of several copies is kept: columns in the order of their weight, a minus for the greater value first.
    Ties fall to the smaller image id. `source` is the order of the recipe's sources."""
    min_detail: float = Field(default=3.0, ge=0)
    """Images with less detail than this (gray levels) are compared for equality only: blanks and gradients collide."""

    @property
    def verifies(self) -> bool:
        """Whether any pair's pixels are compared."""
        return self.perceptual.enabled or (self.near.enabled and self.near.verify == "geometric")

    @property
    def copy_score(self) -> float:
        """The smallest score of a copy in force."""
        return self.near.limit if self.near.verify == "geometric" else 1.0


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
    """Largest Hamming distance of a pair that only the hashes propose; by default that of dedup.perceptual."""
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
