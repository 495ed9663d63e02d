"""A classical descriptor without weights: the blurred 32 × 32 gray image, centred and of unit norm.

Its inner product is the normalised cross-correlation of two thumbnails, and the eight flips and rotations of
an image are permutations of its vector, so they cost no second decode. It sees resized, recompressed,
recoloured, flipped and rotated copies. It cannot see: crops of more than a few percent, added borders,
strong edits, rotations by other angles. For those choose a trained copy-detection embedder.
"""

from typing import TYPE_CHECKING, Any, Literal

from shared.params import Params

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SIDE = 32


class DescriptorEmbedder(Params):
    """Blurred gray thumbnail, compared by normalised cross-correlation."""

    kind: Literal["descriptor"] = "descriptor"
    """No weights, no download; sees flips and recompression, not crops beyond a few percent."""

    @property
    def dim(self) -> int:
        """Length of the vector."""
        return SIDE * SIDE

    def embed(self, image: "Image.Image") -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Return the unit vector [1024] of an RGB image; zeros for a flat one."""
        import numpy as np
        from PIL import Image, ImageFilter

        gray = image.convert("L").resize((4 * SIDE, 4 * SIDE), Image.Resampling.BOX, reducing_gap=2.0)
        small = gray.filter(ImageFilter.GaussianBlur(2)).resize((SIDE, SIDE), Image.Resampling.BOX)
        values = np.asarray(small, dtype=np.float32).ravel()
        values -= values.mean()
        norm = float(np.linalg.norm(values))
        return values / norm if norm > 1e-3 else np.zeros_like(values)

    def orientations(self) -> list["np.ndarray[Any, np.dtype[np.int64]]"]:
        """Return the permutations of the vector that flip and rotate its image; the identity first."""
        import numpy as np

        grid = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
        turned = [np.rot90(grid, k) for k in range(4)]
        return [view.ravel().copy() for base in turned for view in (base, np.fliplr(base))]
