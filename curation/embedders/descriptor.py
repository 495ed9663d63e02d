"""A classical descriptor without weights: the blurred 32 × 32 gray image, centred and of unit norm.

Its inner product is the normalised cross-correlation of two thumbnails, and the eight flips and rotations of
an image are permutations of its vector, so they cost no second decode. It sees resized, recompressed,
recoloured, flipped and rotated copies. It cannot see: crops of more than a few percent, added borders,
strong edits, rotations by other angles. For those choose a trained copy-detection embedder.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from curation.embedders.embedding import Embedding

if TYPE_CHECKING:
    from curation.arrays import Array, Floats, Ints
    from shared.images.picture import Picture

SIDE = 32
BLUR = 2.0
"""Standard deviation, in pixels of the 128 × 128 picture."""
STEPS = 256
"""Of a gray level: blurred levels are whole numbers of them, below 2¹⁶."""


class DescriptorEmbedder(Embedding):
    """Blurred gray thumbnail, compared by normalised cross-correlation."""

    kind: Literal["descriptor"] = "descriptor"
    """No weights, no download; sees flips and recompression, not crops beyond a few percent."""

    copy_cosine = 0.985
    candidate_cosine = 0.6
    sees_layout = True

    def prepared(self, picture: "Picture") -> "Array":
        """Return the gray levels of a picture, squashed to 128 × 128."""
        return picture.small_gray

    def vectors(self, prepared: "Sequence[Array]") -> "Floats":
        """Return the unit vectors [n, 1024] of pictures; zeros for flat ones.

        The same bits on every machine: sums and products of whole numbers below 2⁵³ are exact in whatever order they
        are made, and square roots and quotients are rounded in one way.
        """
        import numpy as np

        from curation.embedders.blur import blurred_cells

        levels = blurred_cells(np.stack(prepared), BLUR, SIDE).reshape(len(prepared), -1)
        steps = np.rint(levels * STEPS)
        count = steps.shape[1]
        total = steps.sum(axis=1, keepdims=True)
        centred = count * steps - total
        length = np.sqrt(count * (count * (steps * steps).sum(axis=1, keepdims=True) - total**2))
        unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
        return np.asarray(unit, dtype=np.float32)

    def orientations(self) -> "list[Ints]":
        """Return the seven permutations of the vector that flip and rotate its image."""
        import numpy as np

        grid = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
        turned = [np.rot90(grid, k) for k in range(4)]
        return [view.ravel().copy() for base in turned for view in (base, np.fliplr(base))][1:]
