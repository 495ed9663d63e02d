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
        """Return the unit vectors [n, 1024] of pictures; zeros for flat ones."""
        import numpy as np

        from curation.embedders.blur import blurred_cells

        values = blurred_cells(np.stack(prepared), BLUR, SIDE).astype(np.float32).reshape(len(prepared), -1)
        values -= values.mean(axis=1, keepdims=True)
        norms = np.sqrt(values[:, None] @ values[:, :, None])[:, 0]
        return np.asarray(np.divide(values, norms, out=np.zeros_like(values), where=norms > 1e-3))

    def orientations(self) -> "list[Ints]":
        """Return the seven permutations of the vector that flip and rotate its image."""
        import numpy as np

        grid = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
        turned = [np.rot90(grid, k) for k in range(4)]
        return [view.ravel().copy() for base in turned for view in (base, np.fliplr(base))][1:]
