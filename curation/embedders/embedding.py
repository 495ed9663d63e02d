"""What every embedder offers: images to unit vectors, and which cosines mean something between its vectors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from shared.params import Params

if TYPE_CHECKING:
    from PIL import Image

    from curation.arrays import Array, Floats, Ints
    from shared.images.picture import Picture


class Embedding(Params):
    """An embedder's settings; its heavy state is cached by them, once in a process.

    The docstring of an embedder and the literal under its `kind` are its help in the command line and the form.
    """

    copy_cosine: ClassVar[float]
    """Two images of at least this cosine are near-duplicates, where the cosine alone decides."""
    candidate_cosine: ClassVar[float]
    """Two images of at least this cosine are worth a geometric comparison."""
    shorthand: ClassVar[str] = ""
    """The field that a recipe gives behind the colon of `kind:what`; "" = there is none."""
    sees_layout: ClassVar[bool] = False
    """Whether its vectors already tell what those of `descriptor` would tell beside them."""

    @property
    def on_gpu(self) -> bool:
        """Whether its vectors are made on a GPU where there is one."""
        return False

    def prepared(self, picture: "Picture") -> "Array":
        """Return what is needed of a picture: small, so that many fit in memory where their images do not."""
        raise NotImplementedError

    def vectors(self, prepared: "Sequence[Array]") -> "Floats":
        """Return unit vectors [n, dim]; zeros for an image that has nothing to compare.

        An image's vector does not depend on which others it comes with, to the last bit.
        """
        raise NotImplementedError

    def embed(self, images: "Sequence[Image.Image]") -> "Floats":
        """Return unit vectors [n, dim] of upright RGB images."""
        from shared.images.picture import Picture

        return self.vectors([self.prepared(Picture(image)) for image in images])

    def orientations(self) -> "list[Ints]":
        """Return the permutations of a vector that flip and rotate its image, the identity left out.

        None by default: a network's vector cannot be turned, and most networks hardly see a flip.
        """
        return []


class TorchEmbedding(Embedding):
    """An embedder whose network runs in torch."""

    precision: Literal["fp32", "bf16"] = "fp32"
    """Numbers that the network computes with. bf16 is meant for GPUs; it rounds to three digits, so its
    vectors are other vectors: a change measures everything again."""

    @property
    def on_gpu(self) -> bool:
        """Whether its vectors are made on a GPU where there is one."""
        return True
